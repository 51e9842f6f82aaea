// gemm.cc — the three products of a linear layer at the shapes of MiniLM and BERT-base, as a share of the register peak.
//
//   cmake -S . -B build/bench -DPERMAFROST_BUILD_BENCH=ON && cmake --build build/bench && build/bench/bench/gemm [threads]
//
// Work: 2·M·N·K FLOPs. Packing of both operands is inside the time; peak is the median of the three beside the row's products.
// PERMAFROST_ISA=avx2 times another table.
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
  const kernels::KernelTable &fast = bench.fast, &ref = bench.ref;
  const Shape shapes[] = {{"minilm qkv", 1152, 384}, {"minilm out", 384, 384}, {"minilm up", 1536, 384}, {"minilm down", 384, 1536},
                          {"bert qkv", 2304, 768},   {"bert out", 768, 768},   {"bert up", 3072, 768},   {"bert down", 768, 3072}};
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const bool bf16 = precision == Precision::bf16;
    std::printf("\n%-12s %6s %9s %9s %9s %9s   share of peak    %s, GFLOP/s\n", "shape", "M", "peak", "forward", "dX", "dW", bf16 ? "bf16" : "fp32");
    std::vector<double> shares[3];
    for (const Shape& s : shapes) {
      for (const int M : {64, 230, 512, 2048}) {
        const std::vector<float> random_x = noise(size_t(M) * s.k), random_w = noise(size_t(s.n) * s.k);
        const lab::Placed x(random_x), w(random_w), dy(noise(size_t(M) * s.n));
        lab::Placed y(std::vector<float>(dy.size())), dx(random_x), dw(random_w);
        const kernels::Weight weight{w.data(), nullptr};
        const auto forward = [&](const kernels::KernelTable& t, float* to) {
          t.linear_forward(to, x.data(), weight, nullptr, M, s.n, s.k, precision, bench.pool);
        };
        const auto backward_input = [&](const kernels::KernelTable& t, float* to) {
          t.linear_backward_input(to, dy.data(), w.data(), M, s.n, s.k, false, precision, bench.pool);
        };
        const auto backward_weight = [&](const kernels::KernelTable& t, float* to) {
          t.linear_backward_weight(to, nullptr, dy.data(), x.data(), M, s.n, s.k, precision, bench.pool);
        };
        if (M == 64) {
          const auto check = [&](const auto& op, size_t size) {
            std::vector<float> got(size), expected(size);
            op(fast, got.data());
            op(ref, expected.data());
            lab::check(s.name, got, expected, 1e-4);
          };
          check(forward, y.size());
          check(backward_input, dx.size());
          check(backward_weight, dw.size());
        }
        const double work = 2.0 * M * s.n * s.k;
        const lab::Rate rates[] = {bench.rate(work, precision, [&] { forward(fast, y.data()); }),
                                   bench.rate(work, precision, [&] { backward_input(fast, dx.data()); }),
                                   bench.rate(work, precision, [&] { backward_weight(fast, dw.data()); })};
        std::printf("%-12s %6d %9.0f", s.name, M, lab::median({rates[0].peak, rates[1].peak, rates[2].peak}) / 1e9);
        for (const lab::Rate& r : rates) std::printf(" %9.0f", r.flops / 1e9);
        for (int op = 0; op < 3; ++op) {
          std::printf("   %3.0f %%", 100 * rates[op].share);
          if (M >= 512) shares[op].push_back(rates[op].share);
        }
        std::printf("\n");
      }
    }
    std::printf("median of M >= 512: ");
    for (const std::vector<double>& share : shares) std::printf("   %3.0f %%", 100 * lab::median(share));
    std::printf("\n");
  }
}
