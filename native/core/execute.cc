// execute.cc — op kind → kernel call. The operands of each kind are listed at OpKind.
#include "execute.h"

#include <chrono>
#include <cmath>
#include <cstring>

namespace permafrost {

namespace {

using kernels::Dropout;

class Runner {
 public:
  Runner(const Plan& plan, const Execution& run) : plan_(plan), r_(run), k_(run.model.ops()), c_(run.model.config()) {}

  void op(const Op& o) {
    const Batch& b = r_.batch;
    const int M = int(rows(o.rows)), C = c_.hidden, H = c_.heads;
    const int T = int(b.shape.T), B = int(b.shape.B);
    const size_t n = size_t(M) * size_t(o.n);
    ThreadPool& pool = r_.pool;
    switch (o.kind) {
      case OpKind::prefix: return read_prefix(o, pool);
      case OpKind::embedding_forward: {
        const auto& e = r_.model.layout().embeddings;
        return k_.embedding_forward(out(o, 0), param(e.word), param(e.position), param(e.type), b.ids.data(), b.positions.data(),
                                    b.types.data(), T, C, pool);
      }
      case OpKind::layernorm_forward: {
        float* stats = out(o, 2);
        return k_.layernorm_forward(out(o, 0), out(o, 1), stats, stats ? stats + M : nullptr, in(o, 0), in(o, 1), param(o.weight),
                                    param(o.bias), inner(o), outer(o), c_.layer_norm_eps, M, C, pool);
      }
      case OpKind::linear_forward:
        return k_.linear_forward(out(o, 0), in(o, 0), weight(o), param(o.bias), M, o.n, o.k, r_.precision, pool);
      case OpKind::linear_gelu_forward:
        return k_.linear_gelu_forward(out(o, 0), out(o, 1), in(o, 0), weight(o), param(o.bias), M, o.n, o.k, r_.precision, pool);
      case OpKind::attention_forward: {
        const float* q = in(o, 0);
        return k_.attention_forward(out(o, 0), out(o, 1), q, 3 * C, q + C, q + 2 * C, 3 * C, attention_shape(), inner(o), r_.precision,
                                    pool);
      }
      case OpKind::by_head_expand:
        return k_.by_head_expand(out(o, 0), out(o, 1), in(o, 0), param(o.weight), param(o.bias), B, H, C / H, pool);
      case OpKind::by_head_reduce:
        return k_.by_head_reduce(out(o, 0), in(o, 0), in(o, 1), param(o.weight), param(o.bias), B, H, C / H, pool);
      case OpKind::single_query_forward:
        return k_.single_query_forward(out(o, 0), out(o, 1), out(o, 2), in(o, 0), in(o, 1), attention_shape(), inner(o), pool);
      case OpKind::gather_rows: return k_.gather_rows(out(o, 0), in(o, 0), b.first.data(), B, C, pool);
      case OpKind::mean_pool_forward: return k_.mean_pool_forward(out(o, 0), in(o, 0), b.offsets.data(), B, C, pool);
      case OpKind::tanh_forward: return k_.tanh_forward(out(o, 0), in(o, 0), n, pool);
      case OpKind::dropout: return k_.dropout(out(o, 0), in(o, 0), inner(o), n, pool);
      case OpKind::cross_entropy: {
        const float smoothing = o.out[1] >= 0 && r_.lane ? r_.lane->config().label_smoothing : 0.0f;
        return k_.cross_entropy(out(o, 0), out(o, 1), in(o, 0), b.targets.data(), B, o.n, smoothing, 1.0f / float(B), pool);
      }
      case OpKind::linear_backward_input:
        return k_.linear_backward_input(out(o, 0), in(o, 0), param(o.weight), M, o.n, o.k, o.accumulate, r_.precision, pool);
      case OpKind::linear_gelu_backward_input:
        return k_.linear_gelu_backward_input(out(o, 0), out(o, 1), in(o, 0), param(o.weight), M, o.n, o.k, r_.precision, pool);
      case OpKind::linear_backward_weight:
        return k_.linear_backward_weight(gradient(o, o.weight), gradient(o, o.bias), in(o, 0), in(o, 1), M, o.n, o.k, r_.precision, pool);
      case OpKind::attention_backward: {
        float* dq = out(o, 0);
        const float* q = in(o, 3);
        return k_.attention_backward(dq, dq + C, dq + 2 * C, in(o, 0), in(o, 1), in(o, 2), q, 3 * C, q + C, q + 2 * C, 3 * C,
                                     attention_shape(), inner(o), r_.precision, pool);
      }
      case OpKind::single_query_backward:
        return k_.single_query_backward(out(o, 0), out(o, 1), in(o, 0), in(o, 1), in(o, 2), in(o, 3), in(o, 4), attention_shape(), inner(o),
                                        pool);
      case OpKind::by_head_backward_weight:
        return k_.by_head_backward_weight(gradient(o, o.weight), gradient(o, o.bias), in(o, 0), in(o, 1), in(o, 2), B, H, C / H, pool);
      case OpKind::layernorm_backward: {
        const float* stats = in(o, 2);
        return k_.layernorm_backward(out(o, 1), out(o, 0), out(o, 2), gradient(o, o.weight), gradient(o, o.bias), in(o, 0), in(o, 1), stats,
                                     stats + M, param(o.weight), param(o.bias), inner(o), outer(o), M, C, pool);
      }
      case OpKind::tanh_backward: return k_.tanh_backward(out(o, 0), in(o, 0), in(o, 1), n, pool);
      case OpKind::scatter_rows: return k_.scatter_rows(out(o, 0), in(o, 0), b.first.data(), B, T, C, true, pool);
      case OpKind::mean_pool_backward: return k_.mean_pool_backward(out(o, 0), in(o, 0), b.offsets.data(), B, C, pool);
      case OpKind::embedding_backward: {
        const auto& e = r_.model.layout().embeddings;
        const RowOrder& order = o.weight == e.word ? b.word : o.weight == e.position ? b.position : b.type;
        return k_.embedding_backward(out(o, 0), in(o, 0), order.order.data(), order.starts.data(), order.count(), C, pool);
      }
      case OpKind::count: return;
    }
  }

 private:
  kernels::AttentionShape attention_shape() const {
    const int D = c_.hidden / c_.heads;
    return {r_.batch.offsets.data(), int(r_.batch.shape.B), c_.heads, D, false, float(1.0 / std::sqrt(double(D)))};
  }

  void read_prefix(const Op& o, ThreadPool& pool) const {
    float* y = out(o, 0);
    const bool per_row = o.rows == Rows::sequences;
    const size_t C = size_t(c_.hidden);
    pool.run(int(r_.batch.shape.B), [&](int b, int) {
      const size_t begin = per_row ? size_t(b) : size_t(r_.batch.offsets[size_t(b)]);
      const size_t count = per_row ? 1 : size_t(r_.batch.offsets[size_t(b) + 1]) - begin;
      std::memcpy(y + begin * C, r_.prefix[b], count * C * sizeof(float));
    });
  }

  int64_t rows(Rows r) const { return row_count(r, r_.batch.shape.T, r_.batch.shape.B, c_.types); }
  float* out(const Op& o, int i) const { return at(plan_, r_, o.out[i]); }
  const float* in(const Op& o, int i) const { return at(plan_, r_, o.in[i]); }
  const float* param(int tensor) const {
    if (tensor < 0) return nullptr;
    return r_.lane ? r_.lane->param(tensor) : r_.model.param(tensor);
  }
  float* gradient(const Op& o, int tensor) const {
    if (o.gradients < 0) return nullptr;
    const Layout& l = r_.model.layout();
    return at(plan_, r_, o.gradients) + (l.tensors[size_t(tensor)].offset - l.groups[size_t(o.group)].dense);
  }
  kernels::Weight weight(const Op& o) const {
    const bool own = r_.lane && r_.lane->trainable(o.weight);
    return {param(o.weight), own ? nullptr : r_.model.packed(o.weight, o.n, r_.precision)};
  }
  Dropout inner(const Op& o) const { return dropout(o.p_inner, o.site_inner); }
  Dropout outer(const Op& o) const { return dropout(o.p_outer, o.site_outer); }
  Dropout dropout(float p, uint32_t site) const {
    if (p == 0) return {};
    return {p, r_.lane->config().seed, r_.lane->step(), site};
  }

  const Plan& plan_;
  const Execution& r_;
  const kernels::KernelTable& k_;
  const ModelConfig& c_;
};

}  // namespace

bool execute(const Plan& plan, const Execution& run) {
  using Clock = std::chrono::steady_clock;
  Runner runner(plan, run);
  for (const Op& op : plan.ops) {
    if (run.cancel && run.cancel->load(std::memory_order_relaxed)) return false;
    const Clock::time_point begin = Clock::now();
    runner.op(op);
    if (!run.profile) continue;
    ProfileRow& row = run.profile->ops[size_t(op.kind)];
    row.calls += 1;
    row.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
    row.flops += op_flops(run.model.config(), op, run.batch.shape);
    row.bytes += op_bytes(run.model.config(), plan, op, run.batch.shape);
  }
  return true;
}

}  // namespace permafrost
