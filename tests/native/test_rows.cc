// test_rows.cc — element-wise ops and ops that move rows: embedding, gather, scatter, mean pooling, tanh, add.
#include "kernels/ref/rows.h"

#include "kernels/ref/embedding.h"
#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::KernelTable;

namespace {

// Not taken apart by structured bindings: lambdas see those from clang 16 on.
struct Sizes {
  int T, C, n;
};

std::vector<int32_t> indices(Random& random, int n, int below) {
  std::vector<int32_t> out(static_cast<size_t>(n));
  for (int32_t& i : out) i = random.below(below);
  return out;
}

}  // namespace

TEST(rows, embedding_forward) {
  for (const Sizes& s : {Sizes{1, 1, 0}, {3, 5, 0}, {50, 31, 0}, {200, 96, 0}, {7, 1031, 0}}) {
    const int T = s.T, C = s.C;
    Random random(t.seed() + uint64_t(C));
    const std::vector<float> word = random.normals(size_t(37) * C), position = random.normals(size_t(64) * C), type = random.normals(size_t(2) * C);
    const auto ids = indices(random, T, 37), positions = indices(random, T, 64), types = indices(random, T, 2);
    std::vector<double> exact(size_t(T) * C);
    kernels::ref::embedding_forward(exact.data(), widen(word).data(), widen(position).data(), widen(type).data(), ids.data(),
                                    positions.data(), types.data(), T, C);
    check_op(t, describe("embedding_forward T=%d C=%d", T, C), exact, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> x(t, "x", exact.size());
      k.embedding_forward(x.data(), word.data(), position.data(), type.data(), ids.data(), positions.data(), types.data(), T, C, pool);
      return x.values();
    });
  }
}

TEST(rows, embedding_backward) {
  for (const Sizes& s : {Sizes{1, 1, 1}, {9, 5, 4}, {200, 96, 1}, {200, 31, 120}, {60, 1031, 7}}) {
    const int T = s.T, C = s.C, U = s.n;
    Random random(t.seed() + uint64_t(C));
    const std::vector<float> dx = random.normals(size_t(T) * C);
    // Token t reads row t mod U, in a shuffled order; with U > T some rows have no token.
    std::vector<int32_t> order, starts{0};
    for (int u = 0; u < U; ++u) {
      for (int i = u; i < T; i += U) order.push_back(i);
      starts.push_back(int32_t(order.size()));
    }
    std::vector<double> exact(size_t(U) * C);
    kernels::ref::embedding_backward(exact.data(), widen(dx).data(), order.data(), starts.data(), U, C);
    check_op(t, describe("embedding_backward T=%d C=%d U=%d", T, C, U), exact, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> drows(t, "drows", exact.size());
      k.embedding_backward(drows.data(), dx.data(), order.data(), starts.data(), U, C, pool);
      return drows.values();
    });
  }
}

TEST(rows, gather_and_scatter) {
  for (const Sizes& s : {Sizes{1, 1, 1}, {9, 5, 4}, {300, 97, 16}}) {
    const int T = s.T, C = s.C, B = s.n;
    Random random(t.seed());
    const std::vector<float> x = random.normals(size_t(T) * C), dy = random.normals(size_t(B) * C);
    std::vector<int32_t> rows;
    for (int b = 0; b < B; ++b) rows.push_back(b * (T / B));
    std::vector<double> y(size_t(B) * C), zeroed(size_t(T) * C), added = widen(x);
    kernels::ref::gather_rows(y.data(), widen(x).data(), rows.data(), B, C);
    kernels::ref::scatter_rows(zeroed.data(), widen(dy).data(), rows.data(), B, T, C, false);
    kernels::ref::scatter_rows(added.data(), widen(dy).data(), rows.data(), B, T, C, true);
    check_op(t, "gather_rows", y, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> out(t, "y", y.size());
      k.gather_rows(out.data(), x.data(), rows.data(), B, C, pool);
      return out.values();
    });
    check_op(t, "scatter_rows", {zeroed, added}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> a(t, "dx", x.size()), b(t, "dx", x);
      k.scatter_rows(a.data(), dy.data(), rows.data(), B, T, C, false, pool);
      k.scatter_rows(b.data(), dy.data(), rows.data(), B, T, C, true, pool);
      std::vector<float> all = a.values();
      for (float value : b.values()) all.push_back(value);
      return all;
    });
  }
}

TEST(rows, mean_pool) {
  for (int C : {1, 5, 96, 1031}) {
    const std::vector<int32_t> offsets = {0, 1, 8, 8, 60};
    const int B = 4, T = 60;
    Random random(t.seed() + uint64_t(C));
    const std::vector<float> x = random.normals(size_t(T) * C), dy = random.normals(size_t(B) * C);
    std::vector<double> y(size_t(B) * C), dx(size_t(T) * C);
    kernels::ref::mean_pool_forward(y.data(), widen(x).data(), offsets.data(), B, C);
    kernels::ref::mean_pool_backward(dx.data(), widen(dy).data(), offsets.data(), B, C);
    check_op(t, describe("mean_pool C=%d", C), {y, dx}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> y1(t, "y", y.size()), dx1(t, "dx", dx.size());
      k.mean_pool_forward(y1.data(), x.data(), offsets.data(), B, C, pool);
      k.mean_pool_backward(dx1.data(), dy.data(), offsets.data(), B, C, pool);
      std::vector<float> all = y1.values();
      for (float value : dx1.values()) all.push_back(value);
      return all;
    });
    check_gradient(
        t, "mean_pool",
        [&](const std::vector<double>& v) {
          std::vector<double> out(y.size());
          kernels::ref::mean_pool_forward(out.data(), v.data(), offsets.data(), B, C);
          return weighted_sum(out, widen(dy));
        },
        widen(x), dx);
  }
}

TEST(rows, tanh_and_add) {
  std::vector<float> x = Random(t.seed()).normals(40003, 3.0f);
  for (float special : {0.0f, -0.0f, 1e-30f, 0.625f, -0.6249999f, 30.0f, -100.0f, INFINITY}) x.push_back(special);
  const std::vector<float> dy = Random(t.seed() + 1).normals(x.size());
  const size_t n = x.size();
  std::vector<double> y(n), dx(n), sum(n);
  kernels::ref::tanh_forward(y.data(), widen(x).data(), n);
  kernels::ref::tanh_backward(dx.data(), widen(dy).data(), y.data(), n);
  check_op(t, "tanh", {y, dx}, [&](const KernelTable& k, ThreadPool& pool) {
    Guarded<float> y1(t, "y", x), dx1(t, "dx", dy);
    k.tanh_forward(y1.data(), y1.data(), n, pool);
    k.tanh_backward(dx1.data(), dx1.data(), y1.data(), n, pool);
    // Relative error, everywhere: also where tanh is tiny.
    for (size_t i = 0; i < n; ++i)
      if (!(std::fabs(y1.data()[i] - y[i]) <= 4 * 0x1p-23 * std::fabs(y[i])))
        t.fail(describe("tanh(%.9g) is %.9g, expected %.9g on %s", x[i], y1.data()[i], y[i], k.name));
    std::vector<float> all = y1.values();
    for (float value : dx1.values()) all.push_back(value);
    return all;
  });
  std::vector<float> finite(x.begin(), x.end() - 1);
  for (size_t i = 0; i < finite.size(); ++i) sum[i] = double(finite[i]) + dy[i];
  sum.resize(finite.size());
  check_op(t, "add", sum, [&](const KernelTable& k, ThreadPool& pool) {
    Guarded<float> y1(t, "y", finite);
    k.add(y1.data(), dy.data(), finite.size(), pool);
    return y1.values();
  });
}
