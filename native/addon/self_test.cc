#include "self_test.h"

#include <algorithm>
#include <cmath>

namespace permafrost::addon {

namespace {

using kernels::KernelTable;
using kernels::Precision;

std::vector<float> noise(size_t n, uint32_t seed) {
  std::vector<float> x(n);
  uint32_t state = seed * 2654435761u + 1;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;
    v = float(state >> 8) / float(1 << 24) * 2 - 1;
  }
  return x;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, scale = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(double(a[i]) - double(b[i]));
    if (std::isnan(apart)) return apart;
    worst = std::max(worst, apart);
    scale = std::max(scale, std::abs(double(b[i])));
  }
  return worst / scale;
}

}  // namespace

std::vector<std::pair<std::string, double>> self_test(const KernelTable& table, ThreadPool& pool) {
  constexpr int M = 37, N = 96, K = 72, H = 3, D = 24;  // H·D = K
  const KernelTable& ref = *kernels::find_kernels("ref");
  const auto x = noise(M * K, 1), w = noise(N * K, 2), bias = noise(N, 3), dy = noise(M * N, 4);
  const auto qkv = noise(M * 3 * K, 5), dout = noise(M * K, 6), gain = noise(K, 7);
  const kernels::Weight weight{w.data(), nullptr};
  constexpr int B = 3;
  const int32_t offsets[B + 1] = {0, 5, 24, M};
  const kernels::AttentionShape shape{offsets, B, H, D, false, float(1 / std::sqrt(double(D)))};

  std::vector<std::pair<std::string, double>> out;
  auto compare = [&](const char* name, size_t n, auto&& call) {
    std::vector<float> got(n), expected(n);
    call(table, got.data());
    call(ref, expected.data());
    out.emplace_back(name, difference(got, expected));
  };
  for (const Precision p : {Precision::f32, Precision::bf16}) {
    const bool bf16 = p == Precision::bf16;
    compare(bf16 ? "linear_forward bf16" : "linear_forward", M * N,
            [&](const KernelTable& k, float* y) { k.linear_forward(y, x.data(), weight, bias.data(), M, N, K, p, pool); });
    compare(bf16 ? "linear_backward_input bf16" : "linear_backward_input", M * K,
            [&](const KernelTable& k, float* y) { k.linear_backward_input(y, dy.data(), w.data(), M, N, K, false, p, pool); });
    compare(bf16 ? "linear_backward_weight bf16" : "linear_backward_weight", N * K,
            [&](const KernelTable& k, float* y) { k.linear_backward_weight(y, nullptr, dy.data(), x.data(), M, N, K, p, pool); });
  }
  compare("linear_gelu_forward", M * N, [&](const KernelTable& k, float* y) {
    k.linear_gelu_forward(y, nullptr, x.data(), weight, bias.data(), M, N, K, Precision::f32, pool);
  });
  std::vector<float> lse(M * H), context(M * K);
  ref.attention_forward(context.data(), lse.data(), qkv.data(), 3 * K, qkv.data() + K, qkv.data() + 2 * K, 3 * K, shape, {}, Precision::f32, pool);
  compare("attention_forward", M * K, [&](const KernelTable& k, float* y) {
    k.attention_forward(y, nullptr, qkv.data(), 3 * K, qkv.data() + K, qkv.data() + 2 * K, 3 * K, shape, {}, Precision::f32, pool);
  });
  compare("attention_backward", M * 3 * K, [&](const KernelTable& k, float* y) {
    k.attention_backward(y, y + K, y + 2 * K, dout.data(), context.data(), lse.data(), qkv.data(), 3 * K, qkv.data() + K, qkv.data() + 2 * K,
                         3 * K, shape, {}, Precision::f32, pool);
  });
  constexpr int kByHead = B * H * K;
  const kernels::Dropout dropout{0.1f, 1, 2, 3};
  const auto u = noise(kByHead, 8), by_head = noise(kByHead, 9), sums = noise(B * H, 10);
  std::vector<float> lse_by_head(B * H), unread(kByHead), unread_sums(B * H);
  ref.single_query_forward(unread.data(), lse_by_head.data(), unread_sums.data(), x.data(), u.data(), shape, dropout, pool);
  compare("single_query_forward", kByHead + B * H, [&](const KernelTable& k, float* y) {
    k.single_query_forward(y, nullptr, y + kByHead, x.data(), u.data(), shape, dropout, pool);
  });
  compare("single_query_backward", M * K + kByHead, [&](const KernelTable& k, float* dx) {
    k.single_query_backward(dx, dx + M * K, by_head.data(), sums.data(), lse_by_head.data(), x.data(), u.data(), shape, dropout, pool);
  });
  compare("by_head_expand", kByHead + B * H, [&](const KernelTable& k, float* y) {
    k.by_head_expand(y, y + kByHead, x.data(), w.data(), bias.data(), B, H, D, pool);
  });
  compare("by_head_reduce", B * K, [&](const KernelTable& k, float* y) {
    k.by_head_reduce(y, by_head.data(), sums.data(), w.data(), bias.data(), B, H, D, pool);
  });
  compare("by_head_backward_weight", K * K + K, [&](const KernelTable& k, float* dw) {
    k.by_head_backward_weight(dw, dw + K * K, x.data(), by_head.data(), sums.data(), B, H, D, pool);
  });
  compare("layernorm_forward", M * K, [&](const KernelTable& k, float* y) {
    k.layernorm_forward(y, nullptr, nullptr, nullptr, x.data(), nullptr, gain.data(), gain.data(), {}, {}, 1e-12f, M, K, pool);
  });
  return out;
}

}  // namespace permafrost::addon
