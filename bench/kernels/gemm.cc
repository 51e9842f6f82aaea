// gemm.cc — the three products of a linear layer at the shapes of MiniLM and BERT-base: check, then time, then say what
// share of the machine's register peak that is.
//
//   cmake -S . -B build/bench -DPERMAFROST_BUILD_BENCH=ON && cmake --build build/bench && build/bench/bench/gemm [threads]
//
// Peak: independent FMA chains held in registers (bf16: VDPBF16PS), one thread a core, measured here and now.
// Work: 2·M·N·K FLOPs. Warm caches; median of 7 samples of at least 50 ms. Packing of both operands is inside the time.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

using namespace permafrost;
using kernels::KernelTable;
using kernels::Precision;
using Clock = std::chrono::steady_clock;

namespace {

double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

double median_rate(double work, const std::function<void()>& run) {
  run();
  std::vector<double> rates;
  for (int sample = 0; sample < 7; ++sample) {
    int calls = 0;
    const Clock::time_point begin = Clock::now();
    do {
      run();
      ++calls;
    } while (seconds(begin) < 0.015);
    rates.push_back(work * calls / seconds(begin));
  }
  std::nth_element(rates.begin(), rates.begin() + 3, rates.end());
  return rates[3];
}

#if defined(__x86_64__) && defined(__GNUC__)
constexpr int kChains = 24;
constexpr int kTurns = 200000;

__attribute__((target("avx512f"))) double chains_f32() {
  __m512 a[kChains], x = _mm512_set1_ps(1.0000001f), y = _mm512_set1_ps(1e-9f);
  for (int i = 0; i < kChains; ++i) a[i] = _mm512_set1_ps(float(i) * 1e-9f);
  for (int t = 0; t < kTurns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) a[i] = _mm512_fmadd_ps(a[i], x, y);
  __m512 sum = a[0];
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_ps(sum, a[i]);
  return double(_mm512_cvtss_f32(sum));
}

__attribute__((target("avx512f,avx512bf16"))) double chains_bf16() {
  __m512 a[kChains];
  const __m512bh x = (__m512bh)_mm512_set1_epi16(0x3f80);
  for (int i = 0; i < kChains; ++i) a[i] = _mm512_set1_ps(float(i));
  for (int t = 0; t < kTurns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) a[i] = _mm512_dpbf16_ps(a[i], x, x);
  __m512 sum = a[0];
  for (int i = 1; i < kChains; ++i) sum = _mm512_add_ps(sum, a[i]);
  return double(_mm512_cvtss_f32(sum));
}

double peak(Precision precision, ThreadPool& pool) {
  const bool bf16 = precision == Precision::bf16;
  if (!__builtin_cpu_supports("avx512f") || (bf16 && !__builtin_cpu_supports("avx512bf16"))) return 0;
  volatile double sink = 0;
  const double work = double(pool.threads()) * kChains * kTurns * (bf16 ? 64 : 32);
  return median_rate(work, [&] { pool.run(pool.threads(), [&](int, int) { sink = bf16 ? chains_bf16() : chains_f32(); }); });
}
#else
double peak(Precision, ThreadPool&) { return 0; }
#endif

std::vector<float> noise(size_t n) {
  std::vector<float> x(n);
  uint32_t state = 1;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;
    v = float(state >> 8) / float(1 << 24) - 0.5f;
  }
  return x;
}

struct Shape {
  const char* name;
  int n, k;
};

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 2);
  const KernelTable& fast = *kernels::find_kernels("auto");
  const KernelTable& ref = *kernels::find_kernels("ref");
  const Shape shapes[] = {{"minilm qkv", 1152, 384}, {"minilm out", 384, 384}, {"minilm up", 1536, 384}, {"minilm down", 384, 1536},
                          {"bert qkv", 2304, 768},   {"bert out", 768, 768},   {"bert up", 3072, 768},   {"bert down", 768, 3072}};
  std::printf("kernels %s, %d threads, GFLOP/s = 2·M·N·K / time\n", fast.name, pool.threads());
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const double top = peak(precision, pool);
    std::printf("\n%s, register peak %.0f GFLOP/s\n%-12s %6s %9s %9s %9s   share of peak\n", precision == Precision::bf16 ? "bf16" : "fp32",
                top / 1e9, "shape", "M", "forward", "dX", "dW");
    for (const Shape& s : shapes) {
      for (const int M : {64, 230, 512, 2048}) {
        const auto x = noise(size_t(M) * s.k), w = noise(size_t(s.n) * s.k), dy = noise(size_t(M) * s.n);
        std::vector<float> y(dy.size()), dx(x.size()), dw(w.size());
        const kernels::Weight weight{w.data(), nullptr, nullptr};
        if (M == 64) {  // never time what is wrong
          std::vector<float> expected(y.size());
          fast.linear_forward(y.data(), x.data(), weight, nullptr, M, s.n, s.k, precision, pool);
          ref.linear_forward(expected.data(), x.data(), weight, nullptr, M, s.n, s.k, precision, pool);
          float worst = 0, largest = 0;
          for (size_t i = 0; i < y.size(); ++i) {
            worst = std::max(worst, std::abs(y[i] - expected[i]));
            largest = std::max(largest, std::abs(expected[i]));
          }
          if (!(worst < 1e-4f * largest)) {
            std::printf("%s: wrong by %g\n", s.name, double(worst));
            return 1;
          }
        }
        const double work = 2.0 * M * s.n * s.k;
        const double f = median_rate(work, [&] { fast.linear_forward(y.data(), x.data(), weight, nullptr, M, s.n, s.k, precision, pool); });
        const double i = median_rate(work, [&] { fast.linear_backward_input(dx.data(), dy.data(), weight, M, s.n, s.k, false, precision, pool); });
        const double g = median_rate(work, [&] { fast.linear_backward_weight(dw.data(), nullptr, dy.data(), x.data(), M, s.n, s.k, precision, pool); });
        std::printf("%-12s %6d %9.0f %9.0f %9.0f", s.name, M, f / 1e9, i / 1e9, g / 1e9);
        if (top > 0) std::printf("   %3.0f %% %3.0f %% %3.0f %%", 100 * f / top, 100 * i / top, 100 * g / top);
        std::printf("\n");
      }
    }
  }
}
