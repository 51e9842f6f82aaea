// test_layernorm.cc — dropout + residual + layer norm + dropout: values, gradients, aliasing.
#include "kernels/ref/layernorm.h"
#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::Dropout;
using kernels::KernelTable;

namespace {

constexpr float kEps = 1e-12f;  // BERT's

struct Problem {
  int T, C;
  Dropout inner, outer;
  std::vector<float> x, residual, gain, bias, dy;
  Problem(int rows, int columns, float p_inner, float p_outer, uint64_t seed) : T(rows), C(columns) {
    Random random(seed + uint64_t(T * 1009 + C));
    inner = {p_inner, seed, 4, 2};
    outer = {p_outer, seed, 4, 3};
    x = random.normals(size_t(T) * C, 2.0f, 0.5f);
    residual = random.normals(size_t(T) * C);
    gain = random.normals(size_t(C), 0.2f, 1.0f);
    bias = random.normals(size_t(C));
    dy = random.normals(size_t(T) * C);
  }
  std::string what(const char* op) const { return describe("%s T=%d C=%d inner=%g outer=%g", op, T, C, inner.p, outer.p); }
};

struct Exact {
  std::vector<double> y, z, mean, rstd;
};
Exact exact_forward(const Problem& p, bool with_residual) {
  Exact e;
  e.y.resize(p.x.size());
  e.z.resize(p.x.size());
  e.mean.resize(size_t(p.T));
  e.rstd.resize(size_t(p.T));
  const std::vector<double> residual = widen(p.residual);
  kernels::ref::layernorm_forward(e.y.data(), e.z.data(), e.mean.data(), e.rstd.data(), widen(p.x).data(),
                                  with_residual ? residual.data() : nullptr, widen(p.gain).data(), widen(p.bias).data(), p.inner,
                                  p.outer, double(kEps), p.T, p.C);
  return e;
}

void for_problems(Context& t, const std::function<void(const Problem&)>& body) {
  for (auto [T, C] : {std::pair{1, 2}, {3, 5}, {17, 31}, {33, 64}, {5, 384}, {50, 96}, {2, 1031}})
    for (int mode = 0; mode < 4; ++mode) body(Problem(T, C, mode & 1 ? 0.1f : 0.0f, mode & 2 ? 0.2f : 0.0f, t.seed()));
}

// dz is what is left of rstd·gain·dy when its mean and its part along the normalised row are taken off: with two columns
// nearly nothing.
double condition(const Problem& p, const std::vector<float>& rstd, const std::vector<double>& dz) {
  double term = 0, left = 0;
  for (size_t i = 0; i < dz.size(); ++i) {
    term = std::max(term, std::fabs(double(rstd[i / size_t(p.C)]) * p.gain[i % size_t(p.C)] * p.dy[i]));
    left = std::max(left, std::fabs(dz[i]));
  }
  return left > 0 ? std::max(1.0, term / left) : 1;
}

}  // namespace

TEST(layernorm, forward) {
  for_problems(t, [&](const Problem& p) {
    for (bool with_residual : {true, false}) {
      const Exact e = exact_forward(p, with_residual);
      const float* residual = with_residual ? p.residual.data() : nullptr;
      check_op(t, p.what("forward"), {e.y, e.z, e.mean, e.rstd}, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> y(t, "y", p.x.size()), z(t, "z", p.x.size()), mean(t, "mean", size_t(p.T)), rstd(t, "rstd", size_t(p.T));
        k.layernorm_forward(y.data(), z.data(), mean.data(), rstd.data(), p.x.data(), residual, p.gain.data(), p.bias.data(), p.inner,
                            p.outer, kEps, p.T, p.C, pool);
        // Without what backward needs, and with z in the place of x: the same bits, x left alone in the first case.
        Guarded<float> y2(t, "y", p.x.size()), x2(t, "x", p.x), y3(t, "y", p.x.size());
        k.layernorm_forward(y2.data(), nullptr, nullptr, nullptr, x2.data(), residual, p.gain.data(), p.bias.data(), p.inner, p.outer, kEps,
                            p.T, p.C, pool);
        t.expect(same_bits(x2.values(), p.x), p.what("forward") + " on " + k.name + ": x changed");
        k.layernorm_forward(y3.data(), x2.data(), mean.data(), rstd.data(), x2.data(), residual, p.gain.data(), p.bias.data(), p.inner,
                            p.outer, kEps, p.T, p.C, pool);
        t.expect(same_bits(y.values(), y2.values()) && same_bits(y.values(), y3.values()) && same_bits(z.values(), x2.values()),
                 p.what("forward") + " on " + k.name + ": other bits without z or in place");
        std::vector<float> all = y.values();
        for (const auto& part : {z.values(), mean.values(), rstd.values()}) all.insert(all.end(), part.begin(), part.end());
        return all;
      });
    }
  });
}

TEST(layernorm, backward) {
  for_problems(t, [&](const Problem& p) {
    const Exact e = exact_forward(p, true);
    const std::vector<float> z(e.z.begin(), e.z.end()), mean(e.mean.begin(), e.mean.end()), rstd(e.rstd.begin(), e.rstd.end());
    const size_t n = p.x.size(), C = size_t(p.C);
    std::vector<double> dx(n), dz(n), y(n), dgain(C), dbias(C);
    kernels::ref::layernorm_backward(dx.data(), dz.data(), y.data(), dgain.data(), dbias.data(), widen(p.dy).data(), widen(z).data(),
                                     widen(mean).data(), widen(rstd).data(), widen(p.gain).data(), widen(p.bias).data(), p.inner, p.outer,
                                     p.T, p.C);
    const Run run = [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> dx1(t, "dx", n), dz1(t, "dz", n), y1(t, "y", n), dg(t, "dgain", C), db(t, "dbias", C);
      k.layernorm_backward(dx1.data(), dz1.data(), y1.data(), dg.data(), db.data(), p.dy.data(), z.data(), mean.data(), rstd.data(),
                           p.gain.data(), p.bias.data(), p.inner, p.outer, p.T, p.C, pool);
      // Frozen gain, dy in the place of dz, y in that of z, dx not wanted (or in the same place when it is the same).
      Guarded<float> in_place(t, "dy", p.dy), z_or_y(t, "z", z);
      k.layernorm_backward(p.inner.p == 0 ? in_place.data() : nullptr, in_place.data(), z_or_y.data(), nullptr, nullptr, in_place.data(),
                           z_or_y.data(), mean.data(), rstd.data(), p.gain.data(), p.bias.data(), p.inner, p.outer, p.T, p.C, pool);
      t.expect(same_bits(dz1.values(), in_place.values()) && same_bits(y1.values(), z_or_y.values()),
               p.what("backward") + " on " + k.name + ": other bits in place");
      // y not wanted.
      Guarded<float> dz2(t, "dz", n);
      k.layernorm_backward(nullptr, dz2.data(), nullptr, dg.data(), db.data(), p.dy.data(), z.data(), mean.data(), rstd.data(),
                           p.gain.data(), p.bias.data(), p.inner, p.outer, p.T, p.C, pool);
      t.expect(same_bits(dz1.values(), dz2.values()), p.what("backward") + " on " + k.name + ": other bits without y");
      std::vector<float> all = dx1.values();
      for (const auto& part : {dz1.values(), y1.values(), dg.values(), db.values()}) all.insert(all.end(), part.begin(), part.end());
      return all;
    };
    check_draws(t, p.what("backward"), 1, [&](uint64_t) { return Case{{dx, dz, y, dgain, dbias}, run, condition(p, rstd, dz)}; });
  });
}

// A training step keeps z instead of y.
TEST(layernorm, backward_makes_the_output_again) {
  ThreadPool pool(2);
  for_problems(t, [&](const Problem& p) {
    for (const KernelTable* k : tables(t)) {
      const size_t n = p.x.size();
      std::vector<float> y(n), z(n), mean(size_t(p.T)), rstd(size_t(p.T)), dz(n), again(n);
      k->layernorm_forward(y.data(), z.data(), mean.data(), rstd.data(), p.x.data(), p.residual.data(), p.gain.data(), p.bias.data(), p.inner,
                           p.outer, kEps, p.T, p.C, pool);
      k->layernorm_backward(nullptr, dz.data(), again.data(), nullptr, nullptr, p.dy.data(), z.data(), mean.data(), rstd.data(), p.gain.data(),
                            p.bias.data(), p.inner, p.outer, p.T, p.C, pool);
      t.expect(same_bits(y, again), p.what("backward") + " on " + k->name + ": y has other bits than in forward");
    }
  });
}

TEST(layernorm, rows_are_independent) {
  ThreadPool pool(2);
  const Problem p(40, 97, 0.0f, 0.0f, t.seed());
  for (const KernelTable* k : tables(t)) {
    std::vector<float> y(p.x.size()), row(size_t(p.C));
    k->layernorm_forward(y.data(), nullptr, nullptr, nullptr, p.x.data(), p.residual.data(), p.gain.data(), p.bias.data(), {}, {}, kEps,
                         p.T, p.C, pool);
    for (int r : {0, 16, 39}) {
      k->layernorm_forward(row.data(), nullptr, nullptr, nullptr, p.x.data() + size_t(r) * p.C, p.residual.data() + size_t(r) * p.C,
                           p.gain.data(), p.bias.data(), {}, {}, kEps, 1, p.C, pool);
      t.expect(std::memcmp(row.data(), y.data() + size_t(r) * p.C, row.size() * 4) == 0, describe("row %d alone has other bits on %s", r, k->name));
    }
  }
}

TEST(layernorm, gradients_by_differences) {
  const Problem p(3, 7, 0.3f, 0.2f, t.seed());
  const Exact e = exact_forward(p, true);
  const size_t n = p.x.size(), C = size_t(p.C);
  const std::vector<double> x = widen(p.x), residual = widen(p.residual), gain = widen(p.gain), bias = widen(p.bias), dy = widen(p.dy);
  std::vector<double> dx(n), dz(n), dgain(C), dbias(C);
  kernels::ref::layernorm_backward<double>(dx.data(), dz.data(), nullptr, dgain.data(), dbias.data(), dy.data(), e.z.data(), e.mean.data(),
                                           e.rstd.data(), gain.data(), bias.data(), p.inner, p.outer, p.T, p.C);
  const auto loss = [&](const std::vector<double>& x1, const std::vector<double>& r1, const std::vector<double>& g1,
                        const std::vector<double>& b1) {
    std::vector<double> y(n);
    kernels::ref::layernorm_forward<double>(y.data(), nullptr, nullptr, nullptr, x1.data(), r1.data(), g1.data(), b1.data(), p.inner, p.outer,
                                            double(kEps), p.T, p.C);
    return weighted_sum(y, dy);
  };
  check_gradient(t, "dx", [&](const auto& v) { return loss(v, residual, gain, bias); }, x, dx);
  check_gradient(t, "dresidual", [&](const auto& v) { return loss(x, v, gain, bias); }, residual, dz);
  check_gradient(t, "dgain", [&](const auto& v) { return loss(x, residual, v, bias); }, gain, dgain);
  check_gradient(t, "dbias", [&](const auto& v) { return loss(x, residual, gain, v); }, bias, dbias);
}
