// test_single_query.cc — attention of each sequence's first token without keys and values, and the products head by head
// around it: against float64, and the whole against ordinary attention.
#include "kernels/ref/single_query.h"

#include <memory>

#include "kernels/ref/linear.h"
#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::AttentionShape;
using kernels::Dropout;
using kernels::KernelTable;
using kernels::Precision;
namespace ref = permafrost::kernels::ref;

namespace {

struct Problem {
  std::vector<int32_t> offsets{0};
  AttentionShape s{};
  Dropout dropout;
  size_t B, H, T, C;
  std::vector<float> x, u, dy, dsums, q, context, wide, w, bias;

  Problem(const std::vector<int>& lengths, int heads, int D, float p, uint64_t seed) {
    for (int length : lengths) offsets.push_back(offsets.back() + length);
    s = {offsets.data(), int(lengths.size()), heads, D, false, float(1.0 / std::sqrt(double(D)))};
    dropout = {p, seed, 3, 1};
    B = lengths.size();
    H = size_t(heads);
    T = size_t(offsets.back());
    C = H * size_t(D);
    Random random(seed + T * 131 + C);
    x = random.normals(T * C);
    u = random.normals(B * H * C, 2.0f / std::sqrt(float(H)));
    dy = random.normals(B * H * C);
    dsums = random.normals(B * H);
    q = random.normals(B * C, 2.0f);
    context = random.normals(B * C);
    wide = random.normals(B * H * C);
    w = random.normals(C * C, 1.0f / std::sqrt(float(C)));
    bias = random.normals(C);
  }
  Problem(const Problem&) = delete;
  std::string what(const char* op) const {
    return describe("%s B=%zu T=%zu H=%zu D=%d p=%g", op, B, T, H, s.D, dropout.p);
  }
};

using Draw = std::function<std::shared_ptr<const Problem>(uint64_t seed)>;

void for_problems(const std::function<void(const Draw&)>& body) {
  const std::vector<std::vector<int>> batches = {{1}, {2, 1, 3}, {15, 7, 16, 17}, {67}, std::vector<int>(130, 1)};
  for (const auto& lengths : batches)
    for (auto [H, D] : {std::pair{1, 8}, {3, 32}, {2, 64}, {2, 24}, {33, 8}})
      for (float p : {0.0f, 0.1f}) {
        // Many rows and many or wide heads each, not both: seconds under the sanitizers and qemu.
        if (H * D > 48 && (lengths.size() > 4 || (H > 16 && lengths.size() == 4))) continue;
        const int heads = H, depth = D;
        body([=](uint64_t seed) { return std::make_shared<Problem>(lengths, heads, depth, p, seed); });
      }
}
constexpr int kDraws = 3;

// As that of attention: e^score passes the score's absolute error on as a relative one.
double condition(const Problem& p) {
  double largest = 1;
  for (int b = 0; b < p.s.B; ++b)
    for (size_t h = 0; h < p.H; ++h)
      for (int j = p.offsets[size_t(b)]; j < p.offsets[size_t(b) + 1]; ++j) {
        double sum = 0;
        for (size_t c = 0; c < p.C; ++c) sum += std::fabs(double(p.u[(size_t(b) * p.H + h) * p.C + c]) * p.x[size_t(j) * p.C + c]);
        largest = std::max(largest, sum * p.s.scale);
      }
  return largest;
}

struct Forward {
  std::vector<double> y, lse, sums;
};
Forward exact_forward(const Problem& p, const std::vector<double>& x, const std::vector<double>& u) {
  Forward f{std::vector<double>(u.size()), std::vector<double>(p.B * p.H), std::vector<double>(p.B * p.H)};
  ref::single_query_forward(f.y.data(), f.lse.data(), f.sums.data(), x.data(), u.data(), p.s, p.dropout);
  return f;
}

void append(std::vector<float>& all, const Guarded<float>& more) {
  for (float value : more.values()) all.push_back(value);
}

}  // namespace

TEST(single_query, forward) {
  for_problems([&](const Draw& draw) {
    check_draws(t, draw(t.seed())->what("forward"), kDraws, [&](uint64_t seed) {
      const auto p = draw(seed);
      const Forward exact = exact_forward(*p, widen(p->x), widen(p->u));
      return Case{{exact.y, exact.lse, exact.sums}, [&t, p](const KernelTable& k, ThreadPool& pool) {
                    Guarded<float> y(t, "y", p->u.size()), lse(t, "lse", p->B * p->H), sums(t, "sums", p->B * p->H);
                    Guarded<float> again(t, "y", p->u.size());
                    k.single_query_forward(again.data(), nullptr, sums.data(), p->x.data(), p->u.data(), p->s, p->dropout, pool);
                    k.single_query_forward(y.data(), lse.data(), sums.data(), p->x.data(), p->u.data(), p->s, p->dropout, pool);
                    t.expect(same_bits(y.values(), again.values()), p->what("forward") + ": other bits without lse");
                    std::vector<float> all = y.values();
                    append(all, lse);
                    append(all, sums);
                    return all;
                  },
                  condition(*p)};
    });
  });
}

TEST(single_query, backward) {
  for_problems([&](const Draw& draw) {
    check_draws(t, draw(t.seed())->what("backward"), kDraws, [&](uint64_t seed) {
      const auto p = draw(seed);
      const std::vector<double> exact_lse = exact_forward(*p, widen(p->x), widen(p->u)).lse;
      const std::vector<float> lse(exact_lse.begin(), exact_lse.end());
      std::vector<double> dx(p->x.size()), du(p->u.size());
      ref::single_query_backward(dx.data(), du.data(), widen(p->dy).data(), widen(p->dsums).data(), widen(lse).data(), widen(p->x).data(),
                                 widen(p->u).data(), p->s, p->dropout);
      return Case{{dx, du}, [&t, p, lse](const KernelTable& k, ThreadPool& pool) {
                    Guarded<float> dx1(t, "dx", p->x.size()), du1(t, "du", p->u.size()), again(t, "du", p->u.size());
                    const auto run = [&](float* dx_or_null, float* du_to) {
                      k.single_query_backward(dx_or_null, du_to, p->dy.data(), p->dsums.data(), lse.data(), p->x.data(), p->u.data(), p->s,
                                              p->dropout, pool);
                    };
                    run(dx1.data(), du1.data());
                    run(nullptr, again.data());
                    t.expect(same_bits(du1.values(), again.values()), p->what("backward") + ": other bits without dx");
                    std::vector<float> all = dx1.values();
                    append(all, du1);
                    return all;
                  },
                  condition(*p)};
    });
  });
}

TEST(single_query, products_by_head) {
  for_problems([&](const Draw& draw) {
    const auto p = draw(t.seed());
    if (p->dropout.p > 0) return;  // they have none
    const int B = int(p->B), H = int(p->H), D = p->s.D;
    const std::vector<double> q = widen(p->q), w = widen(p->w), bias = widen(p->bias), wide = widen(p->wide), sums = widen(p->dsums);
    std::vector<double> y(p->u.size()), y_sums(p->B * p->H);
    ref::by_head_expand(y.data(), y_sums.data(), q.data(), w.data(), bias.data(), B, H, D);
    check_op(t, p->what("by_head_expand"), {y, y_sums}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> out(t, "y", y.size()), out_sums(t, "sums", y_sums.size()), again(t, "y", y.size());
      k.by_head_expand(out.data(), out_sums.data(), p->q.data(), p->w.data(), p->bias.data(), B, H, D, pool);
      k.by_head_expand(again.data(), nullptr, p->q.data(), p->w.data(), nullptr, B, H, D, pool);
      t.expect(same_bits(out.values(), again.values()), p->what("by_head_expand") + ": other bits without sums");
      std::vector<float> all = out.values();
      append(all, out_sums);
      return all;
    });
    for (bool with_bias : {true, false}) {
      std::vector<double> reduced(p->q.size()), dw(p->w.size()), dbias(p->C);
      const double* some_sums = with_bias ? sums.data() : nullptr;
      ref::by_head_reduce(reduced.data(), wide.data(), some_sums, w.data(), with_bias ? bias.data() : nullptr, B, H, D);
      ref::by_head_backward_weight(dw.data(), dbias.data(), q.data(), wide.data(), some_sums, B, H, D);
      const float* sums_f = with_bias ? p->dsums.data() : nullptr;
      check_op(t, p->what("by_head_reduce"), reduced, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> out(t, "y", reduced.size());
        k.by_head_reduce(out.data(), p->wide.data(), sums_f, p->w.data(), with_bias ? p->bias.data() : nullptr, B, H, D, pool);
        return out.values();
      });
      check_op(t, p->what("by_head_backward_weight"), {dw, dbias}, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> out(t, "dw", dw.size()), out_bias(t, "dbias", dbias.size());
        k.by_head_backward_weight(out.data(), out_bias.data(), p->q.data(), p->wide.data(), sums_f, B, H, D, pool);
        std::vector<float> all = out.values();
        append(all, out_bias);
        return all;
      });
    }
  });
}

// A sequence has the same bits alone and in a batch.
TEST(single_query, sequences_are_independent) {
  ThreadPool pool(2);
  const Problem p({13, 50, 1, 28}, 3, 32, 0.0f, t.seed());
  const size_t wide = p.H * p.C;
  for (const KernelTable* k : tables(t)) {
    std::vector<float> y(p.u.size()), y1(wide), u(p.u.size()), u1(wide), context(p.q.size()), context1(p.C), sums(p.B * p.H), sums1(p.H);
    std::vector<float> lse(p.B * p.H), dx(p.x.size()), dx1(p.x.size()), du(p.u.size()), du1(wide);
    k->by_head_expand(u.data(), nullptr, p.q.data(), p.w.data(), nullptr, p.s.B, p.s.H, p.s.D, pool);
    k->single_query_forward(y.data(), lse.data(), sums.data(), p.x.data(), u.data(), p.s, p.dropout, pool);
    k->by_head_reduce(context.data(), y.data(), sums.data(), p.w.data(), p.bias.data(), p.s.B, p.s.H, p.s.D, pool);
    k->single_query_backward(dx.data(), du.data(), p.dy.data(), p.dsums.data(), lse.data(), p.x.data(), u.data(), p.s, p.dropout, pool);
    for (size_t b = 0; b < p.B; ++b) {
      const int32_t offsets[2] = {0, p.offsets[b + 1] - p.offsets[b]};
      AttentionShape s = p.s;
      s.offsets = offsets;
      s.B = 1;
      k->by_head_expand(u1.data(), nullptr, p.q.data() + b * p.C, p.w.data(), nullptr, 1, s.H, s.D, pool);
      k->single_query_forward(y1.data(), nullptr, sums1.data(), p.x.data() + size_t(p.offsets[b]) * p.C, u1.data(), s, p.dropout, pool);
      k->by_head_reduce(context1.data(), y1.data(), sums1.data(), p.w.data(), p.bias.data(), 1, s.H, s.D, pool);
      const size_t begin = size_t(p.offsets[b]) * p.C, rows = size_t(offsets[1]) * p.C;
      k->single_query_backward(dx1.data(), du1.data(), p.dy.data() + b * wide, p.dsums.data() + b * p.H, lse.data() + b * p.H,
                               p.x.data() + begin, u1.data(), s, p.dropout, pool);
      const auto same = [](const float* one, const float* other, size_t n) { return std::memcmp(one, other, n * sizeof(float)) == 0; };
      t.expect(same(context1.data(), context.data() + b * p.C, p.C) && same(du1.data(), du.data() + b * wide, wide) &&
                   same(dx1.data(), dx.data() + begin, rows),
               describe("a sequence alone has other bits on %s", k->name));
    }
  }
}

TEST(single_query, gradients_by_differences) {
  for (float rate : {0.0f, 0.25f}) {
    const Problem p({4, 1, 3}, 2, 8, rate, t.seed());
    const std::vector<double> x = widen(p.x), u = widen(p.u), dy = widen(p.dy), dsums = widen(p.dsums);
    std::vector<double> dx(x.size()), du(u.size());
    const Forward saved = exact_forward(p, x, u);
    ref::single_query_backward(dx.data(), du.data(), dy.data(), dsums.data(), saved.lse.data(), x.data(), u.data(), p.s, p.dropout);
    const auto loss = [&](const std::vector<double>& x1, const std::vector<double>& u1) {
      const Forward f = exact_forward(p, x1, u1);
      return weighted_sum(f.y, dy) + weighted_sum(f.sums, dsums);
    };
    check_gradient(t, p.what("dx"), [&](const auto& x1) { return loss(x1, u); }, x, dx);
    check_gradient(t, p.what("du"), [&](const auto& u1) { return loss(x, u1); }, u, du);
  }
}

// What it is there for: the same as attention over keys and values, whose bias of the keys has no say.
TEST(single_query, is_attention) {
  for (float rate : {0.0f, 0.25f}) {
    const Problem p({4, 1, 7, 3}, 3, 8, rate, t.seed());
    const int T = int(p.T), B = p.s.B, H = p.s.H, D = p.s.D, C = H * D;
    Random random(t.seed() + 5);
    const std::vector<double> x = widen(p.x), q_first = widen(p.q), key = widen(p.w), key_bias = widen(p.bias), dcontext = widen(p.context);
    const std::vector<double> value = widen(random.normals(p.w.size(), 1.0f / std::sqrt(float(C)))), value_bias = widen(random.normals(p.C));

    std::vector<double> q(p.T * p.C), k(q.size()), v(q.size()), out(q.size()), lse(p.T * p.H), dout(q.size()), dq(q.size()), dk(q.size()), dv(q.size());
    ref::linear_forward(k.data(), x.data(), key.data(), key_bias.data(), T, C, C, Precision::f32);
    ref::linear_forward(v.data(), x.data(), value.data(), value_bias.data(), T, C, C, Precision::f32);
    for (size_t b = 0; b < p.B; ++b)
      for (size_t c = 0; c < p.C; ++c) {
        q[size_t(p.offsets[b]) * p.C + c] = q_first[b * p.C + c];
        dout[size_t(p.offsets[b]) * p.C + c] = dcontext[b * p.C + c];
      }
    ref::attention_forward(out.data(), lse.data(), q.data(), C, k.data(), v.data(), C, p.s, p.dropout);
    ref::attention_backward(dq.data(), dk.data(), dv.data(), dout.data(), out.data(), lse.data(), q.data(), C, k.data(), v.data(), C, p.s, p.dropout);
    std::vector<double> dx(x.size()), dkey(key.size()), dvalue(key.size()), dkey_bias(p.C), dvalue_bias(p.C);
    ref::linear_backward_input(dx.data(), dk.data(), key.data(), T, C, C, false, Precision::f32);
    ref::linear_backward_input(dx.data(), dv.data(), value.data(), T, C, C, true, Precision::f32);
    ref::linear_backward_weight(dkey.data(), dkey_bias.data(), dk.data(), x.data(), T, C, C, Precision::f32);
    ref::linear_backward_weight(dvalue.data(), dvalue_bias.data(), dv.data(), x.data(), T, C, C, Precision::f32);

    std::vector<double> u(p.u.size()), context(q_first.size()), dy(u.size()), dsums(p.B * p.H), dx1(x.size()), du(u.size()), dq1(q_first.size());
    std::vector<double> dkey1(key.size()), dvalue1(key.size()), dkey_bias1(p.C), dvalue_bias1(p.C);
    ref::by_head_expand<double>(u.data(), nullptr, q_first.data(), key.data(), nullptr, B, H, D);
    const Forward f = exact_forward(p, x, u);
    ref::by_head_reduce(context.data(), f.y.data(), f.sums.data(), value.data(), value_bias.data(), B, H, D);
    ref::by_head_backward_weight(dvalue1.data(), dvalue_bias1.data(), dcontext.data(), f.y.data(), f.sums.data(), B, H, D);
    ref::by_head_expand(dy.data(), dsums.data(), dcontext.data(), value.data(), value_bias.data(), B, H, D);
    ref::single_query_backward(dx1.data(), du.data(), dy.data(), dsums.data(), f.lse.data(), x.data(), u.data(), p.s, p.dropout);
    ref::by_head_backward_weight<double>(dkey1.data(), dkey_bias1.data(), q_first.data(), du.data(), nullptr, B, H, D);
    ref::by_head_reduce<double>(dq1.data(), du.data(), nullptr, key.data(), nullptr, B, H, D);

    const auto same = [&](const char* what, const std::vector<double>& ours, const std::vector<double>& theirs) {
      for (size_t i = 0; i < ours.size(); ++i)
        if (!(std::fabs(ours[i] - theirs[i]) < 1e-12)) return t.fail(describe("%s[%zu]: %g, by keys and values %g", what, i, ours[i], theirs[i]));
    };
    const auto first_rows = [&](const std::vector<double>& m) {
      std::vector<double> rows;
      for (size_t b = 0; b < p.B; ++b)
        for (size_t c = 0; c < p.C; ++c) rows.push_back(m[size_t(p.offsets[b]) * p.C + c]);
      return rows;
    };
    same("context", context, first_rows(out));
    same("dq", dq1, first_rows(dq));
    same("dx", dx1, dx);
    same("dkey", dkey1, dkey);
    same("dkey_bias", dkey_bias1, dkey_bias);
    same("dvalue", dvalue1, dvalue);
    same("dvalue_bias", dvalue_bias1, dvalue_bias);
  }
}
