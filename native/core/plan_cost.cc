// plan_cost.cc — names, sizes and costs of a plan: FLOPs, bytes, and the packing of its buffers into one arena.
#include <algorithm>
#include <numeric>

#include "plan.h"

namespace permafrost {

const char* op_name(OpKind kind) {
  static const char* const names[] = {
      "prefix",          "embedding_forward",     "layernorm_forward",          "linear_forward",         "linear_gelu_forward",
      "attention_forward", "by_head_expand",      "by_head_reduce",             "single_query_forward",   "gather_rows",
      "mean_pool_forward", "tanh_forward",        "dropout",                    "cross_entropy",          "linear_backward_input",
      "linear_gelu_backward_input", "linear_backward_weight", "attention_backward", "single_query_backward", "by_head_backward_weight",
      "layernorm_backward", "tanh_backward",      "scatter_rows",               "mean_pool_backward",     "embedding_backward"};
  static_assert(sizeof(names) / sizeof(*names) == size_t(OpKind::count));
  return names[size_t(kind)];
}

namespace {

int64_t row_count(const ModelConfig& c, Rows rows, const BatchShape& s) { return row_count(rows, s.T, s.B, c.types); }

}  // namespace

int64_t op_flops(const ModelConfig& c, const Op& op, const BatchShape& s) {
  switch (op.kind) {
    case OpKind::linear_forward:
    case OpKind::linear_gelu_forward:
    case OpKind::linear_backward_input:
    case OpKind::linear_gelu_backward_input:
    case OpKind::linear_backward_weight:
    case OpKind::by_head_expand:
    case OpKind::by_head_reduce:
    case OpKind::by_head_backward_weight: return 2 * row_count(c, op.rows, s) * op.n * op.k;
    case OpKind::attention_forward: return 4 * s.S2 * c.hidden;    // q·kᵀ, p·v
    case OpKind::attention_backward: return 10 * s.S2 * c.hidden;  // q·kᵀ again, dp, dv, dq, dk
    case OpKind::single_query_forward: return 4 * s.T * c.heads * c.hidden;                          // u·xᵀ, p·x
    case OpKind::single_query_backward: return (op.out[0] >= 0 ? 10 : 6) * s.T * c.heads * c.hidden;  // u·xᵀ again, dp, du; dx is two
    default: return 0;
  }
}

int64_t op_bytes(const ModelConfig& c, const Plan& plan, const Op& op, const BatchShape& s) {
  int64_t floats = 0;
  auto count = [&](int id) {
    if (id < 0) return;
    const Buffer& b = plan.buffers[size_t(id)];
    floats += row_count(c, b.rows, s) * b.cols;
  };
  for (int id : op.out) count(id);
  for (int id : op.in) count(id);
  switch (op.kind) {
    case OpKind::linear_forward:
    case OpKind::linear_gelu_forward:
    case OpKind::linear_backward_input:
    case OpKind::linear_gelu_backward_input:
    case OpKind::linear_backward_weight:
    case OpKind::by_head_expand:
    case OpKind::by_head_reduce:
    case OpKind::by_head_backward_weight: floats += int64_t(op.n) * op.k + (op.bias >= 0 ? op.n : 0); break;
    case OpKind::embedding_forward: floats += 3 * s.T * c.hidden; break;
    case OpKind::layernorm_forward:
    case OpKind::layernorm_backward: floats += 2 * c.hidden; break;
    default: break;
  }
  return 4 * floats;
}

size_t Plan::place(int64_t T, int64_t B) {
  // First fit, largest first. Batches of 2^k tokens would put every buffer at the same place of the caches' sets: some lines
  // between them took 3–4 % from a step of 2,048 tokens on Zen 3.
  constexpr size_t kLine = 16, kApart = 17;  // floats, lines
  const auto floats = [&](const Buffer& b) {
    return ((size_t(row_count(b.rows, T, B, types)) * size_t(b.cols) + kLine - 1) / kLine + kApart) * kLine;
  };
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return floats(buffers[a]) > floats(buffers[b]); });
  std::vector<size_t> placed;
  size_t total = 0;
  for (size_t id : order) {
    Buffer& b = buffers[id];
    const size_t size = floats(b);
    std::vector<std::pair<size_t, size_t>> taken;  // [begin, end) of buffers alive at the same time
    for (size_t other : placed) {
      const Buffer& o = buffers[other];
      if (o.first <= b.last && b.first <= o.last) taken.push_back({o.offset, o.offset + floats(o)});
    }
    std::sort(taken.begin(), taken.end());
    size_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + size <= begin) break;
      at = std::max(at, end);
    }
    b.offset = at;
    total = std::max(total, at + size);
    placed.push_back(id);
  }
  return total;
}

}  // namespace permafrost
