// plan.h — a training or evaluation step as data: a flat list of ops over numbered buffers, compiled once per plan.
//
// Freezing is decided here and nowhere else. A frozen thing is an op that is not there: frozen tensors have no gradient,
// no weight-gradient op and no update; below the lowest trainable group there is no backward and nothing is saved for
// one; a frozen layer above it passes input gradients on. With `cached`, the frozen prefix is a single op that reads its
// output per example.
//
// What pooling does not read is not computed: with cls pooling, the last layer's queries, attention output and
// feed-forward run on the B first tokens only, and they attend to the layer's input itself (kernels/ref/single_query.h):
// keys and values of all T tokens would be products for nothing. Equal to the full computation but for rounding.
//
// What backward can make again in passing is not kept: gelu's output from its input, a layer norm's from the z its backward
// reads. The weight gradient that wants it comes after. Saved for a token of a layer: 6·C (qkv, context, two z) + F (gelu).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layout.h"

namespace permafrost {

enum class OpKind : uint8_t {
  prefix,                      // out0 = cached output of the frozen prefix
  embedding_forward,           // out0 = word + position + type
  layernorm_forward,           // out0 = LN(z), z = dropout(in0) + in1; saved: out1 = z (buffer of in0), out2 = mean, rstd
  linear_forward,              // out0 = in0·wᵀ + b
  linear_gelu_forward,         // out0 = gelu(u), saved: out1 = u
  attention_forward,           // out0 = attention(qkv = in0), saved: out1 = lse
  by_head_expand,              // out0 = in0·w head by head, out1 = in0·b (-1: not wanted)
  by_head_reduce,              // out0 = in0·wᵀ head by head, + in1·b (-1: none)
  single_query_forward,        // out0 = attention of the rows in0 by u = in1; saved: out1 = lse; out2 = sums of probabilities
  gather_rows,                 // out0 = first token of each sequence of in0
  mean_pool_forward,           // out0 = mean over each sequence of in0
  tanh_forward,                // out0 = tanh(in0), in place
  dropout,                     // out0 = dropout(in0); its own backward
  cross_entropy,               // out0 = loss, out1 = dlogits (or -1); in0 = logits
  linear_backward_input,       // out0 (+)= in0·w
  linear_gelu_backward_input,  // out0 = in0·w ⊙ gelu'(u), out1 = gelu(u) (buffer of in1); in1 = u
  linear_backward_weight,      // gradients of weight and bias from dy = in0, x = in1
  attention_backward,          // out0 = dqkv; in0 = dout, in1 = out, in2 = lse, in3 = qkv
  single_query_backward,       // out0 = dx (-1: not wanted), out1 = du; in0 = dy, in1 = dsums, in2 = lse, in3 = x, in4 = u
  by_head_backward_weight,     // gradients of weight and bias from dy = in0, x = in1, sums = in2 (-1: the bias has none, it is zero)
  layernorm_backward,          // out0 = dz, out1 = dx (-1: not wanted; = out0 without dropout), out2 = the forward's output again (buffer of
                               // in1; -1: nobody reads it); in0 = dy, in1 = z, in2 = mean, rstd
  tanh_backward,               // out0 = in0·(1 - in1²), in place
  scatter_rows,                // out0[first token] += in0
  mean_pool_backward,          // out0 = in0 spread over each sequence
  embedding_backward,          // out0 = gradient rows of the table `weight`; in0 = dz
  count
};
const char* op_name(OpKind kind);

// What M is for an op, and how many rows a buffer has.
enum class Rows : uint8_t { tokens, sequences, types, one };

struct Op {
  OpKind kind;
  const char* site;  // "qkv", "attention_output", …
  int group;
  Rows rows = Rows::tokens;
  int n = 0, k = 0;        // GEMM: output columns and reduction of the forward; row ops: n = columns
  int out[3] = {-1, -1, -1};
  int in[5] = {-1, -1, -1, -1, -1};
  int weight = -1, bias = -1;  // tensors read; of *_backward_weight, embedding_ and layernorm_backward: whose gradient is written
  int gradients = -1;          // of *_backward_weight and layernorm_backward: Plan::gradients of the group, -1: frozen
  float p_inner = 0, p_outer = 0;           // dropout probabilities
  uint32_t site_inner = 0, site_outer = 0;  // dropout sites
  bool accumulate = false;
};

// `one` has a single row. T tokens, B sequences; `types` are the model's token types.
inline int64_t row_count(Rows rows, int64_t T, int64_t B, int types) {
  switch (rows) {
    case Rows::tokens: return T;
    case Rows::sequences: return B;
    case Rows::types: return types;
    case Rows::one: return 1;
  }
  return 0;
}

struct Buffer {
  const char* name;
  Rows rows;
  int cols;
  int first = -1, last = -1;  // ops between which it lives
  size_t offset = 0;          // floats, in the arena of a Capacity
};

struct BatchShape {
  int64_t T = 0, B = 0;
  int64_t S2 = 0;  // Σ length²
};

struct PlanOptions {
  std::vector<bool> trainable;
  bool train = false;   // with loss gradient, backward and saves
  bool dropout = true;  // in trainable groups
  bool cached = false;  // the frozen prefix is read
  bool all_rows = false;  // the last layer for every token (to return hidden states); excludes train
};

struct Plan {
  std::vector<Op> ops;
  std::vector<Buffer> buffers;
  int prefix_depth = 0;  // leading frozen stages: 0 none, 1 embeddings, 1+k embeddings and layers 0..k-1, max L+1
  int input = -1;        // prefix plans: where the shallower stage's output goes
  int output = -1;       // prefix plans: the stage's output. With all_rows: the last hidden state
  int logits = -1, loss = -1;
  // Gradients of a group's dense tensors, as they lie in the layout: a buffer for each group, -1 where frozen. Buffers like
  // others: a layer's gradients lie where the layers above, through with their backward, had what they saved.
  std::vector<int> gradients;
  int word_rows = -1, position_rows = -1, type_rows = -1;  // gradient rows of the embedding tables
  std::vector<int> updates;                                // tensors that get an update
  size_t trained_parameters = 0;
  size_t trained_dense = 0;        // of those, what every step updates whole: all but the rows of the embedding tables
  int types = 0;                   // rows of a Rows::types buffer

  // Packs buffers with disjoint lifetimes into one arena for batches of at most T tokens and B sequences.
  // Sets offsets; returns floats.
  size_t place(int64_t T, int64_t B);
};

// Leading frozen stages of a lane; at most layers + 1.
int prefix_depth(const ModelConfig& config, const std::vector<bool>& trainable);

Plan compile(const ModelConfig& config, const Layout& layout, const PlanOptions& options);

// Forward of stages (from, to] with base weights and no dropout; from = 0 starts at the tokens. Stage L+1 ends in what
// pooling reads: one row per sequence.
Plan compile_prefix(const ModelConfig& config, const Layout& layout, int from, int to);

// Multiply-adds count 2. Only GEMM and attention products are counted: element-wise work is bytes, not FLOPs.
int64_t op_flops(const ModelConfig& config, const Op& op, const BatchShape& shape);
// Operands read and written once each.
int64_t op_bytes(const ModelConfig& config, const Plan& plan, const Op& op, const BatchShape& shape);

}  // namespace permafrost
