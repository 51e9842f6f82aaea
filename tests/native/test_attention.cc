// test_attention.cc — attention over packed sequences: forward, backward, causal, dropout.
#include "kernels/ref/attention.h"

#include <algorithm>
#include <memory>

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::AttentionShape;
using kernels::Dropout;
using kernels::KernelTable;
using kernels::Precision;

namespace {

struct Problem {
  std::vector<int32_t> offsets{0};
  AttentionShape s{};
  Dropout dropout;
  int T = 0, C = 0, ldq = 0, ldkv = 0;
  std::vector<float> q, k, v, dout;

  Problem(const std::vector<int>& lengths, int H, int D, bool causal, float p, uint64_t seed) {
    for (int length : lengths) offsets.push_back(offsets.back() + length);
    T = offsets.back();
    C = H * D;
    ldq = C + 5;  // rows of a wider matrix
    ldkv = 2 * C + 3;
    s = {offsets.data(), int(lengths.size()), H, D, causal, float(1.0 / std::sqrt(double(D)))};
    dropout = {p, seed, 3, 1};
    Random random(seed + uint64_t(T * 131 + C));
    q = random.normals(size_t(T) * ldq, 2.0f);
    k = random.normals(size_t(T) * ldkv);
    v = random.normals(size_t(T) * ldkv);
    dout = random.normals(size_t(T) * C);
  }
  Problem(const Problem&) = delete;
  std::string what(const char* op) const {
    return describe("%s B=%d T=%d H=%d D=%d%s p=%g", op, s.B, T, s.H, s.D, s.causal ? " causal" : "", dropout.p);
  }
};

using Draw = std::function<std::shared_ptr<const Problem>(uint64_t seed)>;

void for_problems(const std::function<void(const Draw&)>& body) {
  // {3, 0, 5}: a batch may hold empty sequences.
  const std::vector<std::vector<int>> batches = {{1}, {2, 1, 3}, {15, 7, 16, 17}, {29, 31, 5}, {33, 64}, {131}, {3, 0, 5}};
  for (const auto& lengths : batches)
    for (auto [H, D] : {std::pair{1, 8}, {3, 32}, {2, 64}, {2, 24}, {1, 40}, {1, 72}, {2, 128}})
      for (int mode = 0; mode < 4; ++mode) {
        const int heads = H, depth = D;
        body([=](uint64_t seed) { return std::make_shared<Problem>(lengths, heads, depth, mode & 1, mode & 2 ? 0.1f : 0.0f, seed); });
      }
  // Over 2^18 rows of scores, so the counters of their masks pass 2^32.
  body([](uint64_t seed) { return std::make_shared<Problem>(std::vector<int>(5500, 4), 12, 8, false, 0.1f, seed); });
  // More than 512 keys: fewer queries at a time.
  body([](uint64_t seed) { return std::make_shared<Problem>(std::vector<int>{515, 3}, 1, 8, false, 0.1f, seed); });
}
// For check_draws: one of a batch of 100 tokens, whose many queries are draws enough.
int draws(const Problem& p) { return p.T < 100 ? 3 : 1; }

// A score is a sum of D products that may cancel, and e^score passes its absolute error on as a relative one: the
// condition number of the op is the largest Σ_d |q_d·k_d|·scale.
double condition(const Problem& p) {
  double largest = 1;
  kernels::ref::for_each_query(p.s, [&](const kernels::ref::Query& i) {
    for (int h = 0; h < p.s.H; ++h)
      for (int j = i.begin; j < i.begin + i.keys; ++j) {
        double sum = 0;
        for (int d = h * p.s.D; d < (h + 1) * p.s.D; ++d)
          sum += std::fabs(double(p.q[i.token * size_t(p.ldq) + size_t(d)]) * p.k[size_t(j) * size_t(p.ldkv) + size_t(d)]);
        largest = std::max(largest, sum * p.s.scale);
      }
  });
  return largest;
}

template <class Real>
struct Saved {
  std::vector<Real> out, lse;
};
Saved<double> exact_forward(const Problem& p) {
  Saved<double> f{std::vector<double>(size_t(p.T) * p.C), std::vector<double>(size_t(p.T) * p.s.H)};
  kernels::ref::attention_forward(f.out.data(), f.lse.data(), widen(p.q).data(), p.ldq, widen(p.k).data(), widen(p.v).data(), p.ldkv,
                                  p.s, p.dropout);
  return f;
}

// The columns of a strided matrix that belong to the op; the rest must be left alone.
template <class Real>
std::vector<Real> columns(const std::vector<Real>& m, size_t rows, int ld, int C) {
  std::vector<Real> out;
  for (size_t r = 0; r < rows; ++r)
    for (int c = 0; c < C; ++c) out.push_back(m[r * size_t(ld) + size_t(c)]);
  return out;
}
bool gaps_untouched(const Guarded<float>& m, size_t rows, int ld, int C) {
  const std::vector<float> values = m.values();
  for (size_t r = 0; r < rows; ++r)
    for (int c = C; c < ld; ++c)
      if (!std::isnan(values[r * size_t(ld) + size_t(c)])) return false;
  return true;
}

}  // namespace

TEST(attention, forward) {
  for_problems([&](const Draw& draw) {
    const auto first = draw(t.seed());
    check_draws(t, first->what("forward"), draws(*first), [&](uint64_t seed) {
      const auto p = draw(seed);
      const Saved<double> exact = exact_forward(*p);
      return Case{{exact.out, exact.lse}, [&t, p](const KernelTable& k, ThreadPool& pool) {
                    const size_t n = size_t(p->T) * size_t(p->C);
                    Guarded<float> out(t, "out", n), lse(t, "lse", size_t(p->T) * size_t(p->s.H)), again(t, "out", n);
                    k.attention_forward(out.data(), lse.data(), p->q.data(), p->ldq, p->k.data(), p->v.data(), p->ldkv, p->s, p->dropout,
                                        Precision::f32, pool);
                    k.attention_forward(again.data(), nullptr, p->q.data(), p->ldq, p->k.data(), p->v.data(), p->ldkv, p->s,
                                        p->dropout, Precision::f32, pool);
                    t.expect(same_bits(out.values(), again.values()), p->what("forward") + ": other bits without lse");
                    std::vector<float> all = out.values();
                    for (float x : lse.values()) all.push_back(x);
                    return all;
                  },
                  condition(*p)};
    });
  });
}

TEST(attention, backward) {
  for_problems([&](const Draw& draw) {
    const auto first = draw(t.seed());
    check_draws(t, first->what("backward"), draws(*first), [&](uint64_t seed) {
      const auto p = draw(seed);
      const Saved<double> saved = exact_forward(*p);
      const std::vector<float> out(saved.out.begin(), saved.out.end()), lse(saved.lse.begin(), saved.lse.end());
      const size_t T = size_t(p->T);
      std::vector<double> dq(size_t(p->T) * size_t(p->ldq)), dk(p->k.size()), dv(p->v.size());
      kernels::ref::attention_backward(dq.data(), dk.data(), dv.data(), widen(p->dout).data(), widen(out).data(), widen(lse).data(),
                                       widen(p->q).data(), p->ldq, widen(p->k).data(), widen(p->v).data(), p->ldkv, p->s, p->dropout);
      return Case{{columns(dq, T, p->ldq, p->C), columns(dk, T, p->ldkv, p->C), columns(dv, T, p->ldkv, p->C)},
                  [&t, p, out, lse, T](const KernelTable& k, ThreadPool& pool) {
                    Guarded<float> dq1(t, "dq", p->q.size()), dk1(t, "dk", p->k.size()), dv1(t, "dv", p->v.size());
                    k.attention_backward(dq1.data(), dk1.data(), dv1.data(), p->dout.data(), out.data(), lse.data(), p->q.data(), p->ldq,
                                         p->k.data(), p->v.data(), p->ldkv, p->s, p->dropout, Precision::f32, pool);
                    t.expect(gaps_untouched(dq1, T, p->ldq, p->C) && gaps_untouched(dk1, T, p->ldkv, p->C) &&
                                 gaps_untouched(dv1, T, p->ldkv, p->C),
                             p->what("backward") + " on " + k.name + ": wrote between the heads' columns");
                    std::vector<float> all = columns(dq1.values(), T, p->ldq, p->C);
                    for (float x : columns(dk1.values(), T, p->ldkv, p->C)) all.push_back(x);
                    for (float x : columns(dv1.values(), T, p->ldkv, p->C)) all.push_back(x);
                    return all;
                  },
                  condition(*p)};
    });
  });
}

// A sequence has the same bits alone and in a batch.
TEST(attention, sequences_are_independent) {
  ThreadPool pool(2);
  const Problem p({13, 50, 1, 28}, 3, 32, false, 0.0f, t.seed());
  for (const KernelTable* k : tables(t)) {
    std::vector<float> out(size_t(p.T) * p.C), alone(size_t(p.T) * p.C);
    k->attention_forward(out.data(), nullptr, p.q.data(), p.ldq, p.k.data(), p.v.data(), p.ldkv, p.s, p.dropout, Precision::f32, pool);
    for (int b = 0; b < p.s.B; ++b) {
      const size_t begin = size_t(p.offsets[b]);
      const int32_t offsets[2] = {0, p.offsets[b + 1] - p.offsets[b]};
      AttentionShape s = p.s;
      s.offsets = offsets;
      s.B = 1;
      k->attention_forward(alone.data() + begin * p.C, nullptr, p.q.data() + begin * p.ldq, p.ldq, p.k.data() + begin * p.ldkv,
                           p.v.data() + begin * p.ldkv, p.ldkv, s, p.dropout, Precision::f32, pool);
    }
    t.expect(same_bits(out, alone), describe("a sequence alone has other bits on %s", k->name));
  }
}

TEST(attention, gradients_by_differences) {
  for (int mode = 0; mode < 4; ++mode) {
    const Problem p({4, 3}, 2, 8, mode & 1, mode & 2 ? 0.25f : 0.0f, t.seed());
    const std::vector<double> q = widen(p.q), k = widen(p.k), v = widen(p.v), dout = widen(p.dout);
    const Saved<double> saved = exact_forward(p);
    std::vector<double> dq(q.size()), dk(k.size()), dv(v.size());
    kernels::ref::attention_backward(dq.data(), dk.data(), dv.data(), dout.data(), saved.out.data(), saved.lse.data(), q.data(), p.ldq,
                                     k.data(), v.data(), p.ldkv, p.s, p.dropout);
    const auto loss = [&](const std::vector<double>& q1, const std::vector<double>& k1, const std::vector<double>& v1) {
      std::vector<double> out(saved.out.size());
      kernels::ref::attention_forward<double>(out.data(), nullptr, q1.data(), p.ldq, k1.data(), v1.data(), p.ldkv, p.s, p.dropout);
      return weighted_sum(out, dout);
    };
    check_gradient(t, p.what("dq"), [&](const auto& x) { return loss(x, k, v); }, q, dq);
    check_gradient(t, p.what("dk"), [&](const auto& x) { return loss(q, x, v); }, k, dk);
    check_gradient(t, p.what("dv"), [&](const auto& x) { return loss(q, k, x); }, v, dv);
  }
}

// The inputs and outputs of the product are slices of one (T, 3C) matrix: one head's neighbours must survive.
TEST(attention, shares_a_matrix) {
  ThreadPool pool(2);
  const int H = 2, D = 32, C = H * D, T = 20;
  const int32_t offsets[3] = {0, 9, 20};
  const AttentionShape s{offsets, 2, H, D, false, 0.17f};
  const std::vector<float> qkv = Random(t.seed()).normals(size_t(T) * 3 * C), dout = Random(t.seed() + 1).normals(size_t(T) * C);
  std::vector<std::vector<float>> results;
  for (const KernelTable* k : tables(t)) {
    Guarded<float> out(t, "out", size_t(T) * C), lse(t, "lse", size_t(T) * H), d(t, "dqkv", qkv.size());
    k->attention_forward(out.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C, qkv.data() + 2 * C, 3 * C, s, {}, Precision::f32, pool);
    k->attention_backward(d.data(), d.data() + C, d.data() + 2 * C, dout.data(), out.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C,
                          qkv.data() + 2 * C, 3 * C, s, {}, Precision::f32, pool);
    results.push_back(d.values());
    for (size_t i = 0; i < qkv.size(); ++i)
      if (!(std::fabs(results.back()[i] - results.front()[i]) < 1e-4f)) t.fail(describe("gradient %zu differs from ref on %s", i, k->name));
  }
}
