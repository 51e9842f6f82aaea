// test_adamw.cc — AdamW and the sum of squares. The first test is worked by hand.
#include "kernels/ref/adamw.h"

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::AdamWStep;
using kernels::KernelTable;

namespace {

AdamWStep step_at(int t, double lr, double weight_decay) {
  return {lr, 0.9, 0.999, 1e-8, weight_decay, 1 - std::pow(0.9, t), 1 - std::pow(0.999, t)};
}

struct State {
  std::vector<float> p, m, v, g;
  State(size_t n, uint64_t seed) {
    Random random(seed);
    p = random.normals(n);
    m = random.normals(n, 0.01f);
    v = random.normals(n, 0.01f);
    for (float& x : v) x *= x;
    g = random.normals(n, 0.02f);
  }
};

}  // namespace

// p = 1, m = v = 0, g = 0.5, lr = 0.1, wd = 0.01, step 1:
//   p  = 1·(1 - 0.1·0.01)       = 0.999
//   m  = 0.1·0.5                = 0.05,   m/c1 = 0.05/0.1    = 0.5
//   v  = 0.001·0.25             = 0.00025, v/c2 = 0.25, root = 0.5
//   p -= 0.1·0.5/(0.5 + 1e-8)   = 0.899 (+ 2e-9)
TEST(adamw, by_hand) {
  ThreadPool pool(1);
  for (const KernelTable* k : tables(t)) {
    float p = 1, m = 0, v = 0;
    const float g = 0.5f;
    k->adamw(&p, &m, &v, &g, 1.0f, step_at(1, 0.1, 0.01), 1, pool);
    t.expect(std::fabs(p - 0.899) < 1e-6 && std::fabs(m - 0.05) < 1e-8 && std::fabs(v - 0.00025) < 1e-10,
             describe("p=%.9g m=%.9g v=%.9g on %s", p, m, v, k->name));
  }
}

TEST(adamw, update) {
  for (size_t n : {size_t(1), size_t(5), size_t(64), size_t(1031), size_t(50000)})
    for (int at : {1, 2, 1000}) {
      const State s(n, t.seed() + n);
      const AdamWStep step = step_at(at, 3e-4, 0.01);
      std::vector<double> p = widen(s.p), m = widen(s.m), v = widen(s.v);
      kernels::ref::adamw(p.data(), m.data(), v.data(), widen(s.g).data(), 0.37, step, n);
      check_op(t, describe("adamw n=%zu step %d", n, at), {p, m, v}, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> p1(t, "p", s.p), m1(t, "m", s.m), v1(t, "v", s.v);
        k.adamw(p1.data(), m1.data(), v1.data(), s.g.data(), 0.37f, step, n, pool);
        std::vector<float> all = p1.values();
        for (const auto& part : {m1.values(), v1.values()}) all.insert(all.end(), part.begin(), part.end());
        return all;
      });
    }
}

// What embeddings rely on: missed updates replayed later give the bits of dense updates with zero gradients, whatever the
// grouping of the steps and the size of the row.
TEST(adamw, idle_equals_zero_gradient) {
  ThreadPool pool(2);
  for (size_t n : {size_t(1), size_t(31), size_t(384)})
    for (const KernelTable* k : tables(t)) {
      const State s(n, t.seed() + n);
      std::vector<AdamWStep> steps;
      for (int i = 0; i < 75; ++i) steps.push_back(step_at(i + 1, 1e-3 / (1 + i), 0.01));
      State dense = s;
      const std::vector<float> zero(n, 0.0f);
      for (const AdamWStep& step : steps) k->adamw(dense.p.data(), dense.m.data(), dense.v.data(), zero.data(), 0.5f, step, n, pool);
      Guarded<float> p(t, "p", s.p), m(t, "m", s.m), v(t, "v", s.v);
      k->adamw_idle(p.data(), m.data(), v.data(), steps.data(), 40, n);
      k->adamw_idle(p.data(), m.data(), v.data(), steps.data() + 40, 35, n);
      k->adamw_idle(p.data(), m.data(), v.data(), nullptr, 0, n);
      t.expect(same_bits(p.values(), dense.p) && same_bits(m.values(), dense.m) && same_bits(v.values(), dense.v),
               describe("idle n=%zu has other bits on %s", n, k->name));
    }
}

TEST(adamw, sum_squares) {
  for (size_t n : {size_t(0), size_t(1), size_t(17), size_t(4096), size_t(4097), size_t(200001)}) {
    const std::vector<float> x = Random(t.seed() + n).normals(n);
    double exact = 0;
    for (float value : x) exact += double(value) * value;
    for (const KernelTable* k : tables(t)) {
      ThreadPool one(1), seven(7);
      const double got = k->sum_squares(x.data(), n, one);
      t.expect(std::fabs(got - exact) <= 1e-13 * exact, describe("sum_squares n=%zu is %.17g, expected %.17g on %s", n, got, exact, k->name));
      t.expect(got == k->sum_squares(x.data(), n, seven), describe("sum_squares n=%zu: other bits with 7 threads on %s", n, k->name));
    }
  }
}
