// versions.cc — every kernel in its numbered versions, each checked against version 1 before it is timed.
//
//   build/bench/bench/versions [threads]        built as gemm.cc says
//
//   1 ref        the specification: plain loops
//   2 portable   the kernels of cpu/ in plain C++, or NEON on arm64
//   3 avx2       the same, AVX2 and FMA
//   4 avx512     the same, AVX-512
//
// A batch of 16 texts of 14 tokens through MiniLM (C 384, H 12, F 1536). Rates, and shares of this machine's ceilings, at other
// shapes: gemm.cc, attention.cc, rows.cc.
#include <functional>
#include <limits>

#include "lab.h"

using namespace permafrost;
using kernels::AttentionShape;
using kernels::Dropout;
using kernels::KernelTable;
using kernels::Precision;
using kernels::Weight;
using lab::noise;

namespace {

constexpr int B = 16, S = 14, T = B * S, C = 384, H = 12, F = 1536, R = 12;

struct Kernel {
  const char* name;
  size_t outputs;  // floats
  double bound;    // of the largest value
  std::function<void(const KernelTable&, float* out)> run;
};

std::vector<Kernel> list(ThreadPool& pool) {
  static const auto x = noise(size_t(T) * C, 1), residual = noise(size_t(T) * C, 2), dy = noise(size_t(T) * C, 3);
  static const auto w = noise(size_t(F) * C, 4), bias = noise(F, 5), wide = noise(size_t(T) * F, 6), qkv = noise(size_t(T) * 3 * C, 7);
  static const auto words = noise(size_t(1000) * C, 8), moments = noise(size_t(F) * C, 9), logits = noise(size_t(B) * R, 10);
  static const auto queries = noise(size_t(B) * H * C, 11), dy_by_head = noise(size_t(B) * H * C, 12);
  static std::vector<float> context(size_t(T) * C), lse(size_t(T) * H), z(size_t(T) * C), stats(size_t(T) * 2), unused(size_t(T) * F);
  static std::vector<int32_t> offsets, ids, order, starts, positions, labels;
  for (int b = 0; b <= B; ++b) offsets.push_back(b * S);
  for (int t = 0; t < T; ++t) {
    ids.push_back(t * 37 % 1000);
    order.push_back(t);
    starts.push_back(t);
    positions.push_back(t % S);
  }
  starts.push_back(T);
  for (int b = 0; b < B; ++b) labels.push_back(b % R);
  static AttentionShape shape{offsets.data(), B, H, C / H};
  shape.scale = 0.17f;
  static const Dropout dropped{0.1f, 1, 0, 1}, none{};
  static const Weight weight{w.data(), nullptr};
  static const kernels::AdamWStep step{1e-5, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001};
  // What the backwards read, from the reference.
  const KernelTable& ref = *kernels::find_kernels("ref");
  ref.attention_forward(context.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C, qkv.data() + 2 * C, 3 * C, shape, dropped, Precision::f32, pool);
  ref.layernorm_forward(unused.data(), z.data(), stats.data(), stats.data() + T, x.data(), residual.data(), bias.data(), bias.data(), dropped, none, 1e-12f, T, C, pool);

  static std::vector<float> lse_by_head(size_t(B) * H), sums(size_t(B) * H);
  ref.single_query_forward(unused.data(), lse_by_head.data(), sums.data(), x.data(), queries.data(), shape, dropped, pool);

  const size_t hidden = size_t(T) * C, by_head = size_t(B) * H * C;
  std::vector<Kernel> kernels;
  for (const Precision p : {Precision::f32, Precision::bf16}) {
    const bool f32 = p == Precision::f32;
    const auto add = [&](const char* fp32_name, const char* bf16_name, size_t n, std::function<void(const KernelTable&, float*)> run) {
      kernels.push_back({f32 ? fp32_name : bf16_name, n, 1e-5, std::move(run)});
    };
    add("linear_forward", "linear_forward, bf16", size_t(T) * F, [p, &pool](const KernelTable& t, float* y) { t.linear_forward(y, x.data(), weight, bias.data(), T, F, C, p, pool); });
    add("linear_gelu_forward", "linear_gelu_forward, bf16", size_t(T) * F, [p, &pool](const KernelTable& t, float* y) { t.linear_gelu_forward(y, unused.data(), x.data(), weight, bias.data(), T, F, C, p, pool); });
    add("linear_gelu_backward_input", "linear_gelu_backward_input, bf16", 2 * size_t(T) * F, [p, &pool](const KernelTable& t, float* du) {
      float* u = du + size_t(T) * F;  // in place: from the same start each time, so the copy is part of the time
      std::copy(wide.begin(), wide.end(), u);
      t.linear_gelu_backward_input(du, u, dy.data(), w.data(), T, C, F, p, pool);
    });
    add("linear_backward_input", "linear_backward_input, bf16", hidden, [p, &pool](const KernelTable& t, float* dx) { t.linear_backward_input(dx, wide.data(), w.data(), T, F, C, false, p, pool); });
    add("linear_backward_weight", "linear_backward_weight, bf16", size_t(F) * C, [p, &pool](const KernelTable& t, float* dw) { t.linear_backward_weight(dw, nullptr, wide.data(), x.data(), T, F, C, p, pool); });
  }
  kernels.push_back({"attention_forward, dropout", hidden, 1e-5, [&pool](const KernelTable& t, float* out) {
                       t.attention_forward(out, unused.data(), qkv.data(), 3 * C, qkv.data() + C, qkv.data() + 2 * C, 3 * C, shape, dropped, Precision::f32, pool);
                     }});
  kernels.push_back({"attention_backward, dropout", 3 * hidden, 1e-5, [&pool](const KernelTable& t, float* d) {
                       t.attention_backward(d, d + C, d + 2 * C, dy.data(), context.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C, qkv.data() + 2 * C, 3 * C,
                                            shape, dropped, Precision::f32, pool);
                     }});
  kernels.push_back({"single_query_forward, dropout", by_head, 1e-5, [&pool](const KernelTable& t, float* y) {
                       t.single_query_forward(y, unused.data(), unused.data() + B * H, x.data(), queries.data(), shape, dropped, pool);
                     }});
  kernels.push_back({"single_query_backward, dropout", hidden + by_head, 1e-5, [&pool](const KernelTable& t, float* d) {
                       t.single_query_backward(d, d + hidden, dy_by_head.data(), sums.data(), lse_by_head.data(), x.data(), queries.data(), shape, dropped, pool);
                     }});
  kernels.push_back({"by_head_expand", by_head, 1e-5, [&pool](const KernelTable& t, float* y) {
                       t.by_head_expand(y, unused.data(), x.data(), w.data(), bias.data(), B, H, C / H, pool);
                     }});
  kernels.push_back({"by_head_reduce", size_t(B) * C, 1e-5, [&pool](const KernelTable& t, float* y) {
                       t.by_head_reduce(y, queries.data(), sums.data(), w.data(), bias.data(), B, H, C / H, pool);
                     }});
  kernels.push_back({"by_head_backward_weight", size_t(C) * C, 1e-5, [&pool](const KernelTable& t, float* dw) {
                       t.by_head_backward_weight(dw, unused.data(), x.data(), queries.data(), sums.data(), B, H, C / H, pool);
                     }});
  kernels.push_back({"layernorm_forward, dropout", hidden, 1e-5, [&pool](const KernelTable& t, float* y) {
                       t.layernorm_forward(y, unused.data(), stats.data(), stats.data() + T, x.data(), residual.data(), bias.data(), bias.data(), dropped, none, 1e-12f, T, C, pool);
                     }});
  kernels.push_back({"layernorm_backward, dropout", hidden, 1e-5, [&pool](const KernelTable& t, float* dx) {
                       t.layernorm_backward(dx, unused.data(), nullptr, unused.data() + hidden, unused.data() + hidden + C, dy.data(), z.data(), stats.data(), stats.data() + T,
                                            bias.data(), bias.data(), dropped, none, T, C, pool);
                     }});
  kernels.push_back({"embedding_forward", hidden, 1e-6, [&pool](const KernelTable& t, float* y) {
                       t.embedding_forward(y, words.data(), words.data(), words.data(), ids.data(), positions.data(), positions.data(), T, C, pool);
                     }});
  kernels.push_back({"embedding_backward", hidden, 1e-6, [&pool](const KernelTable& t, float* d) { t.embedding_backward(d, dy.data(), order.data(), starts.data(), T, C, pool); }});
  kernels.push_back({"gather_rows", size_t(B) * C, 1e-6, [&pool](const KernelTable& t, float* y) { t.gather_rows(y, x.data(), shape.offsets, B, C, pool); }});
  kernels.push_back({"scatter_rows", hidden, 1e-6, [&pool](const KernelTable& t, float* dx) { t.scatter_rows(dx, dy.data(), shape.offsets, B, T, C, false, pool); }});
  kernels.push_back({"mean_pool_forward", size_t(B) * C, 1e-6, [&pool](const KernelTable& t, float* y) { t.mean_pool_forward(y, x.data(), shape.offsets, B, C, pool); }});
  kernels.push_back({"mean_pool_backward", hidden, 1e-6, [&pool](const KernelTable& t, float* dx) { t.mean_pool_backward(dx, dy.data(), shape.offsets, B, C, pool); }});
  kernels.push_back({"tanh_forward", hidden, 1e-6, [&pool](const KernelTable& t, float* y) { t.tanh_forward(y, x.data(), hidden, pool); }});
  kernels.push_back({"tanh_backward", hidden, 1e-6, [&pool](const KernelTable& t, float* dx) { t.tanh_backward(dx, dy.data(), x.data(), hidden, pool); }});
  kernels.push_back({"add", hidden, 1e-6, [&pool](const KernelTable& t, float* y) {
                       std::copy(x.begin(), x.end(), y);  // in place: the copy is part of the time
                       t.add(y, residual.data(), hidden, pool);
                     }});
  kernels.push_back({"dropout", hidden, 1e-6, [&pool](const KernelTable& t, float* y) { t.dropout(y, x.data(), dropped, hidden, pool); }});
  kernels.push_back({"cross_entropy", size_t(B) * R, 1e-5, [&pool](const KernelTable& t, float* d) {
                       t.cross_entropy(unused.data(), d, logits.data(), labels.data(), B, R, 0.1f, 1.0f / B, pool);
                     }});
  // In place: the weights, then both moments. From the same start each time, so the copies are part of the time.
  const auto restart = [](float* p) {
    const size_t n = w.size();
    std::copy(w.begin(), w.end(), p);
    std::copy(moments.begin(), moments.end(), p + n);
    std::fill_n(p + 2 * n, n, 0.1f);
  };
  kernels.push_back({"adamw", 3 * w.size(), 1e-5, [&pool, restart](const KernelTable& t, float* p) {
                       const size_t n = w.size();
                       restart(p);
                       t.adamw(p, p + n, p + 2 * n, moments.data(), 0.5f, step, n, pool);
                     }});
  kernels.push_back({"adamw_idle, 4 steps", 3 * w.size(), 1e-5, [restart](const KernelTable& t, float* p) {
                       static const kernels::AdamWStep missed[4] = {step, step, step, step};
                       const size_t n = w.size();
                       restart(p);
                       t.adamw_idle(p, p + n, p + 2 * n, missed, 4, n);
                     }});
  kernels.push_back({"sum_squares", 1, 1e-6, [&pool](const KernelTable& t, float* sum) { *sum = float(t.sum_squares(w.data(), w.size(), pool)); }});
  return kernels;
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 2);
  const char* const names[] = {"ref", "portable", "avx2", "avx512"};
  std::printf("%d threads; microseconds, and in brackets how many times as fast as the version before\n\n%-33s", pool.threads(), "kernel");
  for (int v = 0; v < 4; ++v) std::printf("   %d %-14s", v + 1, names[v]);
  std::printf("\n");
  for (const Kernel& kernel : list(pool)) {
    std::vector<float> expected(kernel.outputs), out(kernel.outputs);
    std::printf("%-33s", kernel.name);
    double before = 0;
    for (const char* name : names) {
      const KernelTable* table = kernels::find_kernels(name);
      if (!table) {
        std::printf("   %16s", "not here");
        continue;
      }
      std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
      kernel.run(*table, out.data());
      if (before == 0) expected = out;
      lab::check(kernel.name, out, expected, kernel.bound);
      const double seconds = lab::median_seconds([&] { kernel.run(*table, out.data()); });
      if (before == 0) std::printf("   %9.1f %6s", seconds * 1e6, "");
      else std::printf("   %9.1f (%4.1f)", seconds * 1e6, before / seconds);
      before = seconds;
    }
    std::printf("\n");
  }
}
