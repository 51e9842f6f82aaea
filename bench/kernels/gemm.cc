// gemm.cc — the three products of a linear layer at the shapes of MiniLM and BERT-base, as a share of the register peak.
//
//   cmake -S . -B build/bench -DPERMAFROST_BUILD_BENCH=ON && cmake --build build/bench && build/bench/bench/gemm [threads]
//
// Work: 2·M·N·K FLOPs. Packing of both operands is inside the time. PERMAFROST_ISA=avx2 times another table.
#include "lab.h"

using namespace permafrost;
using kernels::Precision;
using lab::noise;

namespace {

struct Shape {
  const char* name;
  int n, k;
};

}  // namespace

int main(int argc, char** argv) {
  lab::Bench bench(argc, argv);
  const auto& [pool, fast, ref, peak] = bench;
  const Shape shapes[] = {{"minilm qkv", 1152, 384}, {"minilm out", 384, 384}, {"minilm up", 1536, 384}, {"minilm down", 384, 1536},
                          {"bert qkv", 2304, 768},   {"bert out", 768, 768},   {"bert up", 3072, 768},   {"bert down", 768, 3072}};
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const bool bf16 = precision == Precision::bf16;
    const double top = bf16 ? peak.bf16 : peak.f32;
    std::printf("\n%-12s %6s %9s %9s %9s   share of peak    %s, GFLOP/s\n", "shape", "M", "forward", "dX", "dW", bf16 ? "bf16" : "fp32");
    for (const Shape& s : shapes) {
      for (const int M : {64, 230, 512, 2048}) {
        const auto x = noise(size_t(M) * s.k), w = noise(size_t(s.n) * s.k), dy = noise(size_t(M) * s.n);
        std::vector<float> y(dy.size()), dx(x.size()), dw(w.size());
        const kernels::Weight weight{w.data(), nullptr, nullptr};
        const auto forward = [&](const kernels::KernelTable& t, float* to) {
          t.linear_forward(to, x.data(), weight, nullptr, M, s.n, s.k, precision, bench.pool);
        };
        if (M == 64) {
          std::vector<float> expected(y.size());
          forward(fast, y.data());
          forward(ref, expected.data());
          lab::check(s.name, y, expected, 1e-4);
        }
        const double rates[] = {
            lab::median_seconds([&] { forward(fast, y.data()); }),
            lab::median_seconds([&] { fast.linear_backward_input(dx.data(), dy.data(), weight, M, s.n, s.k, false, precision, bench.pool); }),
            lab::median_seconds([&] { fast.linear_backward_weight(dw.data(), nullptr, dy.data(), x.data(), M, s.n, s.k, precision, bench.pool); })};
        std::printf("%-12s %6d", s.name, M);
        const double work = 2.0 * M * s.n * s.k;
        for (double t : rates) std::printf(" %9.0f", work / t / 1e9);
        for (double t : rates) std::printf("   %3.0f %%", 100 * work / t / top);
        std::printf("\n");
      }
    }
  }
}
