// test_linear.cc — linear layers: forward, with gelu, and the three gradients; fp32 and bf16, packed weights or not.
#include "core/memory.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/simd.h"
#include "kernels/ref/linear.h"
#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::KernelTable;
using kernels::Precision;
using kernels::Weight;

namespace {

struct Shape {
  int M, N, K;
};
// Ones, odd, primes, tile borders (14, 6, 32, 16), blocks of the reduction over K and over N (384 units, of two bf16 each), typical,
// rows whose units lie 4096 bytes apart (1024 units).
const Shape kShapes[] = {{1, 1, 1},    {1, 2, 3},     {3, 5, 7},      {13, 31, 17},  {14, 32, 16},  {15, 33, 65},   {29, 12, 129},
                         {7, 64, 383}, {16, 32, 384}, {28, 97, 385},  {61, 127, 53}, {5, 16, 1031}, {200, 48, 96}, {41, 384, 64},
                         {2, 3, 769},  {1030, 40, 24}, {9, 385, 40},  {15, 1543, 33}, {31, 24, 1024}, {9, 2048, 40}};

struct Problem {
  Shape s;
  Precision precision;
  std::vector<float> x, w, bias, dy, u, dx;
  Problem(const Shape& shape, Precision p, uint64_t seed) : s(shape), precision(p) {
    Random random(seed + uint64_t(s.M * 31 + s.N * 7 + s.K));
    x = random.normals(size_t(s.M) * s.K);
    w = random.normals(size_t(s.N) * s.K, 1.0f / std::sqrt(float(s.K)));
    bias = random.normals(size_t(s.N));
    dy = random.normals(size_t(s.M) * s.N);
    u = random.normals(size_t(s.M) * s.K, 2.0f);
    dx = random.normals(size_t(s.M) * s.K);
  }
  std::string what(const char* op) const {
    return describe("%s M=%d N=%d K=%d %s", op, s.M, s.N, s.K, precision == Precision::bf16 ? "bf16" : "f32");
  }
};

// A weight in the packed form of a table; null where it has none.
struct Packed {
  std::vector<float> form;
  Weight weight;
  Packed(const KernelTable& k, const Problem& p, ThreadPool& pool) : form(k.packed_bytes(p.s.N, p.s.K, p.precision) / sizeof(float)) {
    if (!form.empty()) k.pack_weight(form.data(), p.w.data(), p.s.N, p.s.K, p.precision, pool);
    weight = {p.w.data(), form.empty() ? nullptr : form.data()};
  }
};

void for_problems(Context& t, const std::function<void(const Problem&)>& body) {
  for (Precision precision : {Precision::f32, Precision::bf16})
    for (const Shape& s : kShapes) body(Problem(s, precision, t.seed()));
}

}  // namespace

TEST(linear, forward) {
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    for (bool with_bias : {true, false}) {
      std::vector<double> exact(size_t(M) * N);
      const std::vector<double> bias = widen(p.bias);
      kernels::ref::linear_forward(exact.data(), widen(p.x).data(), widen(p.w).data(), with_bias ? bias.data() : nullptr, M, N, K,
                                   p.precision);
      check_op(t, p.what("forward"), exact, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> y(t, "y", exact.size()), packed_y(t, "y", exact.size());
        Guarded<float> x(t, "x", p.x);
        const float* b = with_bias ? p.bias.data() : nullptr;
        k.linear_forward(y.data(), x.data(), {p.w.data(), nullptr}, b, M, N, K, p.precision, pool);
        k.linear_forward(packed_y.data(), x.data(), Packed(k, p, pool).weight, b, M, N, K, p.precision, pool);
        t.expect(same_bits(y.values(), packed_y.values()), p.what("forward") + " on " + k.name + ": packed has other bits");
        return y.values();
      });
    }
  });
}

TEST(linear, gelu_forward) {
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    std::vector<double> y(size_t(M) * N), u(y.size());
    kernels::ref::linear_gelu_forward(y.data(), u.data(), widen(p.x).data(), widen(p.w).data(), widen(p.bias).data(), M, N, K,
                                      p.precision);
    check_op(t, p.what("gelu_forward"), {y, u}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> y1(t, "y", y.size()), u1(t, "u", u.size()), y2(t, "y", y.size()), packed_y(t, "y", y.size());
      const Weight w{p.w.data(), nullptr};
      k.linear_gelu_forward(y1.data(), u1.data(), p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
      k.linear_gelu_forward(y2.data(), nullptr, p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
      k.linear_gelu_forward(packed_y.data(), nullptr, p.x.data(), Packed(k, p, pool).weight, p.bias.data(), M, N, K, p.precision, pool);
      t.expect(same_bits(y1.values(), y2.values()), p.what("gelu_forward") + ": other bits without u");
      t.expect(same_bits(y1.values(), packed_y.values()), p.what("gelu_forward") + " on " + k.name + ": packed has other bits");
      std::vector<float> out = y1.values();
      for (float value : u1.values()) out.push_back(value);
      return out;
    });
  });
}

TEST(linear, backward_input) {
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    for (bool accumulate : {false, true}) {
      std::vector<double> exact = widen(p.dx);
      kernels::ref::linear_backward_input(exact.data(), widen(p.dy).data(), widen(p.w).data(), M, N, K, accumulate, p.precision);
      check_op(t, p.what("backward_input"), exact, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> dx(t, "dx", p.dx);
        k.linear_backward_input(dx.data(), p.dy.data(), p.w.data(), M, N, K, accumulate, p.precision, pool);
        return dx.values();
      });
    }
  });
}

TEST(linear, gelu_backward_input) {
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    std::vector<double> du(size_t(M) * K), y = widen(p.u);
    kernels::ref::linear_gelu_backward_input(du.data(), y.data(), widen(p.dy).data(), widen(p.w).data(), M, N, K, p.precision);
    check_op(t, p.what("gelu_backward_input"), {du, y}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> du1(t, "du", du.size()), u(t, "u", p.u);
      k.linear_gelu_backward_input(du1.data(), u.data(), p.dy.data(), p.w.data(), M, N, K, p.precision, pool);
      std::vector<float> out = du1.values();
      for (float value : u.values()) out.push_back(value);
      return out;
    });
  });
}

TEST(linear, backward_weight) {
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    std::vector<double> dw(size_t(N) * K), dbias(size_t(N), 0.0);
    kernels::ref::linear_backward_weight(dw.data(), dbias.data(), widen(p.dy).data(), widen(p.x).data(), M, N, K, p.precision);
    check_op(t, p.what("backward_weight"), {dw, dbias}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> dw1(t, "dw", dw.size()), db1(t, "dbias", dbias.size()), dw2(t, "dw", dw.size());
      k.linear_backward_weight(dw1.data(), db1.data(), p.dy.data(), p.x.data(), M, N, K, p.precision, pool);
      k.linear_backward_weight(dw2.data(), nullptr, p.dy.data(), p.x.data(), M, N, K, p.precision, pool);
      t.expect(same_bits(dw1.values(), dw2.values()), p.what("backward_weight") + ": other bits without dbias");
      std::vector<float> out = dw1.values();
      for (float value : db1.values()) out.push_back(value);
      return out;
    });
  });
}

// Longer than one scratch of column tiles (768 units), also for pairs.
TEST(linear, backward_weight_long) {
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    const Problem p({1999, 18, 35}, precision, t.seed());
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    std::vector<double> dw(size_t(N) * K), dbias(size_t(N), 0.0);
    kernels::ref::linear_backward_weight(dw.data(), dbias.data(), widen(p.dy).data(), widen(p.x).data(), M, N, K, p.precision);
    check_op(t, p.what("backward_weight"), {dw, dbias}, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> dw1(t, "dw", dw.size()), db1(t, "dbias", dbias.size());
      k.linear_backward_weight(dw1.data(), db1.data(), p.dy.data(), p.x.data(), M, N, K, p.precision, pool);
      std::vector<float> out = dw1.values();
      for (float value : db1.values()) out.push_back(value);
      return out;
    });
  }
}

#if PERMAFROST_X86
// A processor with AVX-512 and without its bf16 product has a table that no other test sees where there is one: every output is
// the same chain of the same operations as with AVX2, eight lanes or sixteen.
TEST(linear, avx512_without_bf16_has_the_bits_of_avx2) {
  if (!kernels::features().avx512) return;
  const KernelTable *narrow = &kernels::avx2_table(), *wide = &kernels::avx512_table(false);
  ThreadPool pool(2);
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    const auto outputs = [&](const KernelTable* k) {
      std::vector<float> y(size_t(M) * N), activation(y.size()), u(y.size()), dx = p.dx, du(size_t(M) * K), again = p.u;
      std::vector<float> dw(size_t(N) * K), dbias(static_cast<size_t>(N));
      const Weight w{p.w.data(), nullptr};
      k->linear_forward(y.data(), p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
      k->linear_gelu_forward(activation.data(), u.data(), p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
      k->linear_backward_input(dx.data(), p.dy.data(), p.w.data(), M, N, K, true, p.precision, pool);
      k->linear_gelu_backward_input(du.data(), again.data(), p.dy.data(), p.w.data(), M, N, K, p.precision, pool);
      k->linear_backward_weight(dw.data(), dbias.data(), p.dy.data(), p.x.data(), M, N, K, p.precision, pool);
      return std::vector<std::vector<float>>{y, activation, u, dx, du, again, dw, dbias};
    };
    const std::vector<std::vector<float>> a = outputs(narrow), b = outputs(wide);
    const char* names[] = {"y", "gelu", "u", "dx", "du", "gelu again", "dw", "dbias"};
    for (size_t i = 0; i < a.size(); ++i) t.expect(same_bits(a[i], b[i]), p.what(names[i]) + ": other bits");
  });
}
#endif

// A row has the same bits alone, among others, and at any place among them.
TEST(linear, rows_are_independent) {
  ThreadPool pool(2);
  for_problems(t, [&](const Problem& p) {
    const int M = p.s.M, N = p.s.N, K = p.s.K;
    const Weight w{p.w.data(), nullptr};
    for (const KernelTable* k : tables(t)) {
      std::vector<float> y(size_t(M) * N), dx(size_t(M) * K), row_y(static_cast<size_t>(N)), row_dx(static_cast<size_t>(K));
      k->linear_gelu_forward(y.data(), nullptr, p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
      k->linear_backward_input(dx.data(), p.dy.data(), p.w.data(), M, N, K, false, p.precision, pool);
      for (int m : {0, M / 2, M - 1}) {
        k->linear_gelu_forward(row_y.data(), nullptr, p.x.data() + size_t(m) * K, w, p.bias.data(), 1, N, K, p.precision, pool);
        k->linear_backward_input(row_dx.data(), p.dy.data() + size_t(m) * N, p.w.data(), 1, N, K, false, p.precision, pool);
        t.expect(std::memcmp(row_y.data(), y.data() + size_t(m) * N, row_y.size() * 4) == 0 &&
                     std::memcmp(row_dx.data(), dx.data() + size_t(m) * K, row_dx.size() * 4) == 0,
                 p.what("a row alone") + " on " + k->name + ": other bits");
      }
    }
  });
}

// A u of more than 2^21 floats is written past the caches: same bits as in two calls that are below it.
TEST(linear, large_gelu_input) {
  constexpr int M = 2100, N = 1024, K = 3;
  const Problem p({M, N, K}, Precision::f32, t.seed());
  ThreadPool pool(3);
  for (const KernelTable* k : tables(t)) {
    Floats y = Floats::zeroed(size_t(M) * N), u = Floats::zeroed(size_t(M) * N);
    std::vector<float> half_y(size_t(M) * N), half_u(size_t(M) * N);
    const Weight w{p.w.data(), nullptr};
    k->linear_gelu_forward(y.data(), u.data(), p.x.data(), w, p.bias.data(), M, N, K, p.precision, pool);
    for (int m : {0, M / 2})
      k->linear_gelu_forward(half_y.data() + size_t(m) * N, half_u.data() + size_t(m) * N, p.x.data() + size_t(m) * K, w, p.bias.data(),
                             M / 2, N, K, p.precision, pool);
    t.expect(std::memcmp(y.data(), half_y.data(), half_y.size() * sizeof(float)) == 0, std::string(k->name) + ": other activations");
    t.expect(std::memcmp(u.data(), half_u.data(), half_u.size() * sizeof(float)) == 0, std::string(k->name) + ": another u");
  }
}

// gelu and its derivative over their whole range, through a 1 x 1 weight of one. The backward makes the activation again.
TEST(linear, gelu_range) {
  const float one = 1.0f, none = 0.0f;
  std::vector<float> u;
  for (int i = -14000; i <= 14000; ++i) u.push_back(float(i) * 0.001f);
  for (float extreme : {-1e30f, -40.0f, 1e-30f, 1e-6f, -1e-6f, 40.0f, 1e30f}) u.push_back(extreme);
  const int M = int(u.size());
  for (const KernelTable* k : tables(t)) {
    ThreadPool pool(1);
    std::vector<float> y(u.size()), again(u.size()), du(u.size());
    const std::vector<float> ones(u.size(), one);
    const Weight w{&one, nullptr};
    k->linear_gelu_forward(y.data(), again.data(), u.data(), w, &none, M, 1, 1, Precision::f32, pool);
    t.expect(again == u, std::string(k->name) + ": another u");
    k->linear_gelu_backward_input(du.data(), again.data(), ones.data(), &one, M, 1, 1, Precision::f32, pool);
    t.expect(same_bits(again, y), std::string(k->name) + ": other activations in the backward");
    for (size_t i = 0; i < u.size(); ++i) {
      const double exact = kernels::ref::gelu(double(u[i])), slope = kernels::ref::gelu_derivative(double(u[i]));
      // Φ within kUlps ulps of one, so u·Φ(u) within that of |u|.
      if (!(std::fabs(y[i] - exact) <= kUlps * 0x1p-23 * std::fabs(double(u[i])) + 1e-38)) t.fail(describe("gelu(%.9g) is %.9g, expected %.9g on %s", u[i], y[i], exact, k->name));
      if (!(std::fabs(du[i] - slope) <= 4 * 0x1p-23)) t.fail(describe("gelu'(%.9g) is %.9g, expected %.9g on %s", u[i], du[i], slope, k->name));
    }
  }
}

TEST(linear, gradients_by_differences) {
  const Problem p({3, 4, 5}, Precision::f32, t.seed());
  const int M = p.s.M, N = p.s.N, K = p.s.K;
  const std::vector<double> x = widen(p.x), w = widen(p.w), bias = widen(p.bias), dy = widen(p.dy), u = widen(p.u);
  const auto loss = [&](const std::vector<double>& x1, const std::vector<double>& w1, const std::vector<double>& b1) {
    std::vector<double> y(size_t(M) * N);
    kernels::ref::linear_forward(y.data(), x1.data(), w1.data(), b1.data(), M, N, K, Precision::f32);
    return weighted_sum(y, dy);
  };
  std::vector<double> dx(x.size()), dw(w.size()), dbias(bias.size()), du(u.size()), activation = u;
  kernels::ref::linear_backward_input(dx.data(), dy.data(), w.data(), M, N, K, false, Precision::f32);
  kernels::ref::linear_backward_weight(dw.data(), dbias.data(), dy.data(), x.data(), M, N, K, Precision::f32);
  kernels::ref::linear_gelu_backward_input(du.data(), activation.data(), dy.data(), w.data(), M, N, K, Precision::f32);
  check_gradient(t, "dx", [&](const auto& v) { return loss(v, w, bias); }, x, dx);
  check_gradient(t, "dw", [&](const auto& v) { return loss(x, v, bias); }, w, dw);
  check_gradient(t, "dbias", [&](const auto& v) { return loss(x, w, v); }, bias, dbias);
  check_gradient(
      t, "du",
      [&](const std::vector<double>& v) {
        std::vector<double> y(v.size());
        for (size_t i = 0; i < v.size(); ++i) y[i] = kernels::ref::gelu(v[i]);
        return loss(y, w, bias);
      },
      u, du);
}
