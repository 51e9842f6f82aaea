// rows.cc — the ops that only stream: layer norm forward and backward with and without dropout, AdamW, the sum of squares.
//
//   build/bench/bench/rows [threads]        built as gemm.cc says
//
// Bytes: what the op must read and write once. Batches of 230 and 2,048 rows of 384: the first stays in L2, so its rate may
// exceed the ceiling, which is that of memory.
#include "lab.h"

using namespace permafrost;
using kernels::Dropout;
using lab::noise;

namespace {

void line(const lab::Bench& bench, const char* name, int rows, double bytes, double seconds) {
  std::printf("%-36s %8d %10.1f us %9.1f GB/s   %3.0f %%\n", name, rows, seconds * 1e6, bytes / seconds / 1e9, 100 * bytes / seconds / bench.peak.stream);
}

void layernorm(lab::Bench& bench, int T, float p) {
  constexpr int C = 384;
  const size_t n = size_t(T) * C;
  const auto x = noise(n, 1), residual = noise(n, 2), dy = noise(n, 3), gain = noise(C, 4), bias = noise(C, 5);
  const Dropout inner{p, 1, 0, 1}, outer{};
  std::vector<float> y(n), z(n), mean(T), rstd(T), dz(n), dx(n), dgain(C), dbias(C), expected(n);
  const auto forward = [&](const kernels::KernelTable& t, std::vector<float>& to) {
    t.layernorm_forward(to.data(), z.data(), mean.data(), rstd.data(), x.data(), residual.data(), gain.data(), bias.data(), inner, outer, 1e-12f, T, C, bench.pool);
  };
  forward(bench.ref, expected);
  forward(bench.fast, y);
  lab::check("layernorm_forward", y, expected, 1e-5);
  const double dropped = p > 0 ? 1 : 0;
  line(bench, p > 0 ? "layernorm_forward, dropout" : "layernorm_forward", T, 16.0 * double(n), lab::median_seconds([&] { forward(bench.fast, y); }));
  line(bench, p > 0 ? "layernorm_backward, dropout" : "layernorm_backward", T, (16.0 + 4.0 * dropped) * double(n), lab::median_seconds([&] {
    bench.fast.layernorm_backward(p > 0 ? dx.data() : dz.data(), dz.data(), y.data(), dgain.data(), dbias.data(), dy.data(), z.data(), mean.data(), rstd.data(),
                                  gain.data(), bias.data(), inner, outer, T, C, bench.pool);
  }));
}

}  // namespace

int main(int argc, char** argv) {
  lab::Bench bench(argc, argv);
  std::printf("\n%-36s %8s %13s %14s   share of the stream\n", "op", "rows", "time", "rate");
  for (const int T : {230, 2048})
    for (const float p : {0.0f, 0.1f}) layernorm(bench, T, p);
  const size_t n = size_t(11) << 20;  // the layers of MiniLM
  std::vector<float> p = noise(n, 1), m = noise(n, 2), v(n, 0.1f);
  const auto g = noise(n, 3);
  const kernels::AdamWStep step{1e-5, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001};
  line(bench, "adamw", int(n >> 10), 28.0 * double(n), lab::median_seconds([&] { bench.fast.adamw(p.data(), m.data(), v.data(), g.data(), 1.0f, step, n, bench.pool); }));
  volatile double sum = 0;
  line(bench, "sum_squares", int(n >> 10), 4.0 * double(n), lab::median_seconds([&] { sum = bench.fast.sum_squares(g.data(), n, bench.pool); }));
}
