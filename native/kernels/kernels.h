// kernels.h — every op of permafrost: its signature, shapes, aliasing rules. The index of this folder.
//
// An op has the same name in ref/ (plain loops: the specification), cpu/ (fast, ISA chosen at run time), tests/native/
// and bench/kernels/. All matrices are row-major fp32. The alphabet, used everywhere:
//
//   T  tokens of a packed batch (no padding rows)    C  hidden size (channels)     F  feed-forward width
//   B  sequences of the batch                        H  attention heads            D  head size, C = H·D
//   N  sequence boundaries, offsets[B+1]             V  vocabulary rows            R  classes (logits per sequence)
//   M, N, K  rows, columns, reduction of a GEMM
//
// Argument order: outputs, inputs, sizes, pool. The gradient of `x` is `dx`. Outputs are overwritten unless the line says
// "+=". No output may alias an input unless the line says so.
//
// Numerics, for every implementation: the value of an output element depends on its inputs only, never on the number of
// threads, the position of its row in the batch, or how many other rows there are (a prefix computed alone, or for more
// rows, has the same bits). Reductions over rows split by fixed blocks, combined in block order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace permafrost {

class ThreadPool;

namespace kernels {

enum class Precision : uint8_t {
  f32,   // fp32 inputs, fp32 accumulation
  bf16,  // inputs of linear_* rounded to bf16 (nearest even), fp32 accumulation; everything else fp32
};

// A dropout site. Element e is kept iff philox(seed, step, site)[e] >= p·2^32, then scaled by 1/(1-p). p = 0: identity.
struct Dropout {
  float p = 0.0f;     // probability of zeroing, in [0, 1)
  uint64_t seed = 0;  // of the lane
  uint32_t step = 0;  // optimizer step, from 0
  uint32_t site = 0;  // which dropout of the model
};

// A linear layer's weight (N, K), as Hugging Face stores it: y = x·Wᵀ + b. `packed` may be null: the op then packs on
// the fly. The packed form is made by pack_weight of the same kernel table, and stays valid while `data` is unchanged.
struct Weight {
  const float* data = nullptr;   // (N, K)
  const void* packed = nullptr;
};

// What every attention op needs to know of its batch.
struct AttentionShape {
  const int32_t* offsets;  // (B+1) first token of each sequence; offsets[B] = T
  int B;
  int H;
  int D;  // any multiple of 8
  bool causal = false;
  float scale = 0.0f;  // usually 1/sqrt(D)
};
// The element of an attention-probability dropout mask: query token i (its row in the packed batch of T), head h, key
// position j within the sequence:  e = ((i·H + h) << 16) + j.

struct AdamWStep {
  double lr;            // of this group at this step
  double beta1, beta2;  // decay of the moments
  double epsilon;
  double weight_decay;  // decoupled; 0 for biases and LayerNorm
  double correction1;   // 1 - beta1^t, t = 1 at the first step
  double correction2;   // 1 - beta2^t
};

// Every op, of one implementation. `ref` implements all of them; the others may leave none null either.
struct KernelTable {
  const char* name;  // "ref", "portable", "avx2", "avx512"

  // ---- GEMM ----------------------------------------------------------------------------------------------------
  // Bytes that pack_weight writes; 0 if this implementation has no packed form (then Weight::packed stays null).
  size_t (*packed_bytes)(int N, int K, Precision);
  void (*pack_weight)(void* packed, const float* w_nk, int N, int K, Precision, ThreadPool&);

  // y[m,n] = Σ_k x[m,k]·w[n,k] + bias[n].  y (M,N), x (M,K), bias (N) or null.
  void (*linear_forward)(float* y, const float* x, const Weight& w, const float* bias, int M, int N, int K, Precision,
                         ThreadPool&);
  // u = x·wᵀ + bias, y = gelu(u) = u·Φ(u) (erf form).  u (M,N) may be null when no backward will come.
  void (*linear_gelu_forward)(float* y, float* u, const float* x, const Weight& w, const float* bias, int M, int N, int K,
                              Precision, ThreadPool&);
  // dx[m,k] = Σ_n dy[m,n]·w[n,k];  accumulate: dx += instead.  dx (M,K), dy (M,N).
  void (*linear_backward_input)(float* dx, const float* dy, const float* w, int M, int N, int K, bool accumulate, Precision,
                                ThreadPool&);
  // du[m,k] = gelu'(u[m,k])·Σ_n dy[m,n]·w[n,k], and u becomes gelu(u): x again, bit for bit, which backward_weight reads next.
  // To keep u alone halves what a feed-forward saves.  u (M,K), as linear_gelu_forward left it.
  void (*linear_gelu_backward_input)(float* du, float* u, const float* dy, const float* w, int M, int N, int K, Precision, ThreadPool&);
  // dw[n,k] = Σ_m dy[m,n]·x[m,k];  dbias[n] = Σ_m dy[m,n] (null: none).  dw (N,K).
  void (*linear_backward_weight)(float* dw, float* dbias, const float* dy, const float* x, int M, int N, int K, Precision,
                                 ThreadPool&);

  // ---- attention -----------------------------------------------------------------------------------------------
  // out = softmax(scale·q·kᵀ)·v per sequence and head, dropout on the probabilities. q/k/v rows have strides ldq/ldkv
  // (floats); head h is columns [h·D, h·D+D).  out rows have stride H·D.  lse (rows of q, H): log-sum-exp per row, null
  // when no backward will come.
  void (*attention_forward)(float* out, float* lse, const float* q, int ldq, const float* k, const float* v, int ldkv,
                            const AttentionShape&, const Dropout&, Precision, ThreadPool&);
  // dq (stride ldq), dk, dv (stride ldkv) overwritten for every row. `out`, `lse` as saved by the forward.
  void (*attention_backward)(float* dq, float* dk, float* dv, const float* dout, const float* out, const float* lse,
                             const float* q, int ldq, const float* k, const float* v, int ldkv, const AttentionShape&,
                             const Dropout&, Precision, ThreadPool&);

  // ---- attention of one query a sequence -----------------------------------------------------------------------
  // The first token of each sequence attends to rows x (T,C) themselves, not to keys and values made of them; why that is the
  // same: ref/single_query.h. Always fp32. w (C,C) as a Weight's data; rows of a head: [h·D, h·D+D). No sequence is empty.
  // y[b,h,c] = Σ_d x[b,h·D+d]·w[h·D+d,c];  sums[b,h] = Σ_d x[b,h·D+d]·bias[h·D+d].  y (B,H,C), x (B,C); sums (B,H) and bias
  // may both be null.
  void (*by_head_expand)(float* y, float* sums, const float* x, const float* w, const float* bias, int B, int H, int D, ThreadPool&);
  // y[b,h·D+d] = Σ_c x[b,h,c]·w[h·D+d,c] + sums[b,h]·bias[h·D+d].  y (B,C), x (B,H,C); sums and bias may both be null.
  void (*by_head_reduce)(float* y, const float* x, const float* sums, const float* w, const float* bias, int B, int H, int D, ThreadPool&);
  // dw[h·D+d,c] = Σ_b dy[b,h·D+d]·x[b,h,c];  dbias[h·D+d] = Σ_b dy[b,h·D+d]·sums[b,h], 0 where sums is null.  dw (C,C),
  // dy (B,C), x (B,H,C).
  void (*by_head_backward_weight)(float* dw, float* dbias, const float* dy, const float* x, const float* sums, int B, int H, int D,
                                  ThreadPool&);
  // y[b,h] = Σ_j p_j·x_j over the tokens of sequence b, p = dropout(softmax(scale·x_j·u[b,h]));  sums[b,h] = Σ_j p_j.
  // y, u (B,H,C), sums (B,H); lse (B,H): log-sum-exp, null when no backward will come.
  void (*single_query_forward)(float* y, float* lse, float* sums, const float* x, const float* u, const AttentionShape&, const Dropout&,
                               ThreadPool&);
  // dx (T,C), null when not wanted, and du (B,H,C) overwritten, from dy (B,H,C) and dsums (B,H). lse as the forward saved it.
  // Without dropout the sums are 1 whatever x and u are, and dsums need not be read.
  void (*single_query_backward)(float* dx, float* du, const float* dy, const float* dsums, const float* lse, const float* x,
                                const float* u, const AttentionShape&, const Dropout&, ThreadPool&);

  // ---- rows ----------------------------------------------------------------------------------------------------
  // x[t] = word[ids[t]] + position[positions[t]] + type[types[t]].  x (T,C).
  void (*embedding_forward)(float* x, const float* word, const float* position, const float* type, const int32_t* ids,
                            const int32_t* positions, const int32_t* types, int T, int C, ThreadPool&);
  // drows[u] = Σ over i in [starts[u], starts[u+1]) of dx[order[i]], added in that order.  drows (U,C), dx (T,C).
  // Serves word, position and type tables: the caller sorts tokens by the row they read.
  void (*embedding_backward)(float* drows, const float* dx, const int32_t* order, const int32_t* starts, int U, int C,
                             ThreadPool&);

  // z = dropout(x; inner) + residual (null: none);  y = dropout((z - mean)·rstd·gain + bias; outer).
  // z (T,C) may alias x; null when no backward will come (x is then left alone). mean, rstd (T), null with z.
  void (*layernorm_forward)(float* y, float* z, float* mean, float* rstd, const float* x, const float* residual, const float* gain,
                            const float* bias, const Dropout& inner, const Dropout& outer, float eps, int T, int C, ThreadPool&);
  // dz: gradient of z (also that of residual); dx: gradient of x = dropout mask of `inner` applied to dz. dx may alias
  // dz when inner.p = 0, may be null when not wanted. dy may alias dz. dgain, dbias (C): null when frozen.
  // y: what forward returned, made again with the same bits; may alias z, null when not wanted.
  void (*layernorm_backward)(float* dx, float* dz, float* y, float* dgain, float* dbias, const float* dy, const float* z,
                             const float* mean, const float* rstd, const float* gain, const float* bias, const Dropout& inner,
                             const Dropout& outer, int T, int C, ThreadPool&);

  // y[i] = dropout(x[i]).  Backward is the same op on the gradient. y may alias x.
  void (*dropout)(float* y, const float* x, const Dropout&, size_t n, ThreadPool&);
  // y[i] = tanh(x[i]); dx[i] = dy[i]·(1 - y[i]²).  May alias.
  void (*tanh_forward)(float* y, const float* x, size_t n, ThreadPool&);
  void (*tanh_backward)(float* dx, const float* dy, const float* y, size_t n, ThreadPool&);
  // y[i] += x[i].
  void (*add)(float* y, const float* x, size_t n, ThreadPool&);

  // y[b] = x[rows[b]];  y (B,C).
  void (*gather_rows)(float* y, const float* x, const int32_t* rows, int B, int C, ThreadPool&);
  // dx = 0 (T,C), then dx[rows[b]] = dy[b]. accumulate: dx[rows[b]] += dy[b] without the zeroing.
  void (*scatter_rows)(float* dx, const float* dy, const int32_t* rows, int B, int T, int C, bool accumulate, ThreadPool&);
  // y[b] = mean of x[t] over the tokens of sequence b; backward spreads dy[b]/length.
  void (*mean_pool_forward)(float* y, const float* x, const int32_t* offsets, int B, int C, ThreadPool&);
  void (*mean_pool_backward)(float* dx, const float* dy, const int32_t* offsets, int B, int C, ThreadPool&);

  // loss[b] = -Σ_r target[b,r]·log softmax(logits[b])_r, target = (1-smoothing)·onehot + smoothing/R (as PyTorch).
  // dlogits = (softmax - target)·scale, null when not wanted. loss (B) is not scaled.
  void (*cross_entropy)(float* loss, float* dlogits, const float* logits, const int32_t* labels, int B, int R, float smoothing,
                        float scale, ThreadPool&);

  // ---- optimizer -----------------------------------------------------------------------------------------------
  // Σ x[i]² in fp64, by fixed blocks of 4096.
  double (*sum_squares)(const float* x, size_t n, ThreadPool&);
  // torch.optim.AdamW on n elements; g is multiplied by grad_scale first (gradient clipping).
  //   p *= 1 - lr·wd;  m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  p -= lr/c1 · m / (sqrt(v)/sqrt(c2) + ε)
  void (*adamw)(float* p, float* m, float* v, const float* g, float grad_scale, const AdamWStep&, size_t n, ThreadPool&);
  // `steps` consecutive updates with g = 0 on one row block of n elements: bit-equal to calling adamw with zeros.
  void (*adamw_idle)(float* p, float* m, float* v, const AdamWStep* steps, int count, size_t n);

  // ---- ceiling -------------------------------------------------------------------------------------------------
  // Runs `turns` rounds of multiply-adds in registers on the calling thread; returns their FLOPs.
  double (*register_chains)(int turns, Precision);
};

// "auto": the best this machine runs. Null when `name` is unknown or cannot run here.
const KernelTable* find_kernels(const char* name);
// The processor multiplies bf16, and the system lets it.
bool has_bf16_instructions();

}  // namespace kernels
}  // namespace permafrost
