// ref/table.cc — the table "ref": the plain loops of this folder behind the signatures of kernels.h, in float.
//
// One thread, no packed weights, no tricks: what an op means is read here and in the header it includes. It may be a
// thousand times slower than the others; PERMAFROST_ISA=ref runs a whole training step on it.
#include "table.h"

#include "adamw.h"
#include "attention.h"
#include "cross_entropy.h"
#include "dropout.h"
#include "embedding.h"
#include "layernorm.h"
#include "linear.h"
#include "rows.h"
#include "single_query.h"

namespace permafrost::kernels {

namespace {

KernelTable make_table() {
  KernelTable t{};
  t.name = "ref";
  t.packed_bytes = [](int, int, Precision) { return size_t(0); };
  t.pack_weight = [](void*, const float*, int, int, Precision, ThreadPool&) {};

  t.linear_forward = [](float* y, const float* x, const Weight& w, const float* bias, int M, int N, int K, Precision precision,
                        ThreadPool&) { ref::linear_forward(y, x, w.data, bias, M, N, K, precision); };
  t.linear_gelu_forward = [](float* y, float* u, const float* x, const Weight& w, const float* bias, int M, int N, int K,
                             Precision precision, ThreadPool&) {
    ref::linear_gelu_forward(y, u, x, w.data, bias, M, N, K, precision);
  };
  t.linear_backward_input = [](float* dx, const float* dy, const float* w, int M, int N, int K, bool accumulate,
                               Precision precision, ThreadPool&) {
    ref::linear_backward_input(dx, dy, w, M, N, K, accumulate, precision);
  };
  t.linear_gelu_backward_input = [](float* du, float* u, const float* dy, const float* w, int M, int N, int K,
                                    Precision precision, ThreadPool&) {
    ref::linear_gelu_backward_input(du, u, dy, w, M, N, K, precision);
  };
  t.linear_backward_weight = [](float* dw, float* dbias, const float* dy, const float* x, int M, int N, int K,
                                Precision precision, ThreadPool&) {
    ref::linear_backward_weight(dw, dbias, dy, x, M, N, K, precision);
  };

  t.attention_forward = [](float* out, float* lse, const float* q, int ldq, const float* k, const float* v, int ldkv,
                           const AttentionShape& s, const Dropout& d, Precision, ThreadPool&) {
    ref::attention_forward(out, lse, q, ldq, k, v, ldkv, s, d);
  };
  t.attention_backward = [](float* dq, float* dk, float* dv, const float* dout, const float* out, const float* lse,
                            const float* q, int ldq, const float* k, const float* v, int ldkv, const AttentionShape& s,
                            const Dropout& d, Precision, ThreadPool&) {
    ref::attention_backward(dq, dk, dv, dout, out, lse, q, ldq, k, v, ldkv, s, d);
  };

  t.by_head_expand = [](float* y, float* sums, const float* x, const float* w, const float* bias, int B, int H, int D, ThreadPool&) {
    ref::by_head_expand(y, sums, x, w, bias, B, H, D);
  };
  t.by_head_reduce = [](float* y, const float* x, const float* sums, const float* w, const float* bias, int B, int H, int D, ThreadPool&) {
    ref::by_head_reduce(y, x, sums, w, bias, B, H, D);
  };
  t.by_head_backward_weight = [](float* dw, float* dbias, const float* dy, const float* x, const float* sums, int B, int H, int D,
                                 ThreadPool&) {
    ref::by_head_backward_weight(dw, dbias, dy, x, sums, B, H, D);
  };
  t.single_query_forward = [](float* y, float* lse, float* sums, const float* x, const float* u, const AttentionShape& s, const Dropout& d,
                              ThreadPool&) { ref::single_query_forward(y, lse, sums, x, u, s, d); };
  t.single_query_backward = [](float* dx, float* du, const float* dy, const float* dsums, const float* lse, const float* x, const float* u,
                               const AttentionShape& s, const Dropout& d, ThreadPool&) {
    ref::single_query_backward(dx, du, dy, dsums, lse, x, u, s, d);
  };

  t.embedding_forward = [](float* x, const float* word, const float* position, const float* type, const int32_t* ids,
                           const int32_t* positions, const int32_t* types, int T, int C, ThreadPool&) {
    ref::embedding_forward(x, word, position, type, ids, positions, types, T, C);
  };
  t.embedding_backward = [](float* drows, const float* dx, const int32_t* order, const int32_t* starts, int U, int C,
                            ThreadPool&) { ref::embedding_backward(drows, dx, order, starts, U, C); };

  t.layernorm_forward = [](float* y, float* z, float* mean, float* rstd, const float* x, const float* residual,
                           const float* gain, const float* bias, const Dropout& inner, const Dropout& outer, float eps, int T,
                           int C, ThreadPool&) {
    ref::layernorm_forward(y, z, mean, rstd, x, residual, gain, bias, inner, outer, eps, T, C);
  };
  t.layernorm_backward = [](float* dx, float* dz, float* y, float* dgain, float* dbias, const float* dy, const float* z,
                            const float* mean, const float* rstd, const float* gain, const float* bias, const Dropout& inner,
                            const Dropout& outer, int T, int C, ThreadPool&) {
    ref::layernorm_backward(dx, dz, y, dgain, dbias, dy, z, mean, rstd, gain, bias, inner, outer, T, C);
  };

  t.dropout = [](float* y, const float* x, const Dropout& d, size_t n, ThreadPool&) { ref::dropout(y, x, d, n); };
  t.tanh_forward = [](float* y, const float* x, size_t n, ThreadPool&) { ref::tanh_forward(y, x, n); };
  t.tanh_backward = [](float* dx, const float* dy, const float* y, size_t n, ThreadPool&) { ref::tanh_backward(dx, dy, y, n); };
  t.add = [](float* y, const float* x, size_t n, ThreadPool&) { ref::add(y, x, n); };
  t.gather_rows = [](float* y, const float* x, const int32_t* rows, int B, int C, ThreadPool&) {
    ref::gather_rows(y, x, rows, B, C);
  };
  t.scatter_rows = [](float* dx, const float* dy, const int32_t* rows, int B, int T, int C, bool accumulate, ThreadPool&) {
    ref::scatter_rows(dx, dy, rows, B, T, C, accumulate);
  };
  t.mean_pool_forward = [](float* y, const float* x, const int32_t* offsets, int B, int C, ThreadPool&) {
    ref::mean_pool_forward(y, x, offsets, B, C);
  };
  t.mean_pool_backward = [](float* dx, const float* dy, const int32_t* offsets, int B, int C, ThreadPool&) {
    ref::mean_pool_backward(dx, dy, offsets, B, C);
  };
  t.cross_entropy = [](float* loss, float* dlogits, const float* logits, const int32_t* labels, int B, int R, float smoothing,
                       float scale, ThreadPool&) {
    ref::cross_entropy(loss, dlogits, logits, labels, B, R, smoothing, scale);
  };

  t.sum_squares = [](const float* x, size_t n, ThreadPool&) { return ref::sum_squares(x, n); };
  t.adamw = [](float* p, float* m, float* v, const float* g, float grad_scale, const AdamWStep& s, size_t n, ThreadPool&) {
    ref::adamw(p, m, v, g, grad_scale, s, n);
  };
  t.adamw_idle = [](float* p, float* m, float* v, const AdamWStep* steps, int count, size_t n) {
    for (int i = 0; i < count; ++i) ref::adamw<float>(p, m, v, nullptr, 1.0f, steps[i], n);
  };
  t.register_chains = [](int turns, Precision) {
    volatile float x = 1.0f;
    for (int i = 0; i < turns; ++i) x = x * 1.0f + 1e-9f;
    return 2.0 * turns;
  };
  return t;
}

}  // namespace

const KernelTable& ref_table() {
  static const KernelTable table = make_table();
  return table;
}

}  // namespace permafrost::kernels
