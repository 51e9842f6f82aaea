// all.inl — every kernel of the folder and the table of them, for the instruction set that includes this.
#include "linear_all.inl"
#include "philox.inl"
#include "attention.inl"
#include "single_query.inl"
#include "elementwise.inl"
#include "rows.inl"
#include "layernorm.inl"
#include "cross_entropy.inl"
#include "adamw.inl"

static KernelTable make_table(const char* name) {
  KernelTable t{};
  t.name = name;
  use_linear(t);
  t.attention_forward = attention_forward;
  t.attention_backward = attention_backward;
  t.by_head_expand = by_head_expand;
  t.by_head_reduce = by_head_reduce;
  t.by_head_backward_weight = by_head_backward_weight;
  t.single_query_forward = single_query_forward;
  t.single_query_backward = single_query_backward;
  t.embedding_forward = embedding_forward;
  t.embedding_backward = embedding_backward;
  t.layernorm_forward = layernorm_forward;
  t.layernorm_backward = layernorm_backward;
  t.dropout = dropout;
  t.tanh_forward = tanh_forward;
  t.tanh_backward = tanh_backward;
  t.add = add_into;
  t.gather_rows = gather_rows;
  t.scatter_rows = scatter_rows;
  t.mean_pool_forward = mean_pool_forward;
  t.mean_pool_backward = mean_pool_backward;
  t.cross_entropy = cross_entropy;
  t.sum_squares = sum_squares;
  t.adamw = adamw;
  t.adamw_idle = adamw_idle;
  return t;
}
