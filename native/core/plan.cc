// plan.cc — compiles (model, trainable groups) into ops and buffers. See plan.h for the rules.
#include "plan.h"

namespace permafrost {

namespace {

// Sites of the dropout generator: fixed numbers, so that masks do not depend on what is frozen.
uint32_t embedding_site() { return 0; }
uint32_t attention_site(int layer) { return 1 + 3 * uint32_t(layer); }
uint32_t attention_output_site(int layer) { return 2 + 3 * uint32_t(layer); }
uint32_t ffn_output_site(int layer) { return 3 + 3 * uint32_t(layer); }
uint32_t classifier_site(int layers) { return 1 + 3 * uint32_t(layers); }

// Buffers a layer's forward leaves for its backward; -1 where nothing was saved.
struct LayerSaves {
  int x = -1;        // input of the layer (T,C): read where no layer norm of the backward makes it again
  int x_first = -1;  // first_only: its first rows (B,C)
  int qkv = -1;
  int q = -1, u = -1, y = -1, sums = -1;  // first_only: queries (B,C), those expanded and the rows they attend to (B,H·C), (B,H)
  int context = -1, lse = -1;
  int gelu_input = -1;
  int attention_norm = -1, output_norm = -1;  // ops: they know what they saved
};

class Compiler {
 public:
  Compiler(const ModelConfig& config, const Layout& layout, const PlanOptions& options) : c_(config), l_(layout), o_(options) {
    lowest_ = c_.groups();
    for (int g = c_.groups() - 1; g >= 0; --g)
      if (trainable(g)) lowest_ = g;
    for (int g = 0; g < c_.groups(); ++g) {
      const GroupRange& range = l_.groups[size_t(g)];
      plan_.gradients.push_back(trainable(g) ? buffer("gradients", Rows::one, int(range.end - range.dense)) : -1);
    }
  }

  Plan run() {
    plan_.prefix_depth = permafrost::prefix_depth(c_, o_.trainable);
    int stage = 0, h = -1;
    if (o_.cached && plan_.prefix_depth > 0) {
      stage = plan_.prefix_depth;
      h = read_prefix(stage);
    } else {
      h = embeddings();
      stage = 1;
    }
    int input = h;
    for (; stage <= c_.layers; ++stage) {
      input = h;
      h = layer(stage - 1, input, first_only(stage - 1));
    }
    int pooled_rows = h;
    const bool pooled_in_cache = o_.cached && plan_.prefix_depth == c_.layers + 1;
    if (!pooled_in_cache && rows_of(h) == Rows::tokens) pooled_rows = pool_rows(h);
    head(h, pooled_rows);
    // Beside what the head read: its bits are the same whether or not somebody asks for the other rows.
    if (o_.all_rows) plan_.output = rows_of(h) == Rows::sequences ? layer(c_.layers - 1, input, false) : h;
    finish();
    return std::move(plan_);
  }

  Plan run_prefix(int from, int to) {
    int h = -1;
    if (from == 0) {
      h = embeddings();
      from = 1;
    } else {
      h = plan_.input = buffer("input", Rows::tokens, c_.hidden);
    }
    for (int stage = from; stage < to; ++stage) h = layer(stage - 1, h, first_only(stage - 1));
    if (to == c_.layers + 1 && rows_of(h) == Rows::tokens) h = pool_rows(h);
    plan_.output = h;
    finish();
    return std::move(plan_);
  }

 private:
  bool trainable(int group) const { return o_.train && o_.trainable[size_t(group)]; }
  // Backward passes through (part of) this group.
  bool backward(int group) const { return o_.train && group >= lowest_; }
  // Something below this group learns, so its input gradient is wanted.
  bool below(int group) const { return o_.train && group > lowest_; }
  // Pooling reads the first rows of this layer alone.
  bool first_only(int layer) const { return layer == c_.layers - 1 && c_.pooling == Pooling::cls; }
  float probability(int group, float p) const { return trainable(group) && o_.dropout ? p : 0.0f; }
  Rows rows_of(int buffer_id) const { return plan_.buffers[size_t(buffer_id)].rows; }

  int buffer(const char* name, Rows rows, int cols) {
    plan_.buffers.push_back({name, rows, cols});
    return int(plan_.buffers.size()) - 1;
  }

  Op& emit(OpKind kind, const char* site, int group, Rows rows) {
    Op op{kind, site, group};
    op.rows = rows;
    plan_.ops.push_back(op);
    return plan_.ops.back();
  }
  int last_op() const { return int(plan_.ops.size()) - 1; }

  // ---- forward -------------------------------------------------------------------------------------------------

  int read_prefix(int depth) {
    const bool pooled = depth == c_.layers + 1;
    const int h = buffer("prefix", pooled ? Rows::sequences : Rows::tokens, c_.hidden);
    Op& op = emit(OpKind::prefix, "prefix", depth - 1, rows_of(h));
    op.n = c_.hidden;
    op.out[0] = h;
    return h;
  }

  int embeddings() {
    const auto& e = l_.embeddings;
    const int x = buffer("embedding_sum", Rows::tokens, c_.hidden);
    Op& sum = emit(OpKind::embedding_forward, "sum", 0, Rows::tokens);
    sum.n = c_.hidden;
    sum.out[0] = x;
    const int stats = backward(0) ? buffer("embedding_stats", Rows::tokens, 2) : -1;
    const int h = layernorm(0, "norm", x, -1, e.norm_gain, e.norm_bias, stats);
    embedding_norm_ = last_op();
    Op& norm = plan_.ops.back();
    norm.p_outer = probability(0, c_.hidden_dropout);
    norm.site_outer = embedding_site();
    return h;
  }

  int linear(int group, const char* site, const char* name, int x, int weight, int bias, int n, int k) {
    return product(OpKind::linear_forward, group, site, buffer(name, rows_of(x), n), x, weight, bias, n, k);
  }

  int product(OpKind kind, int group, const char* site, int y, int x, int weight, int bias, int n, int k) {
    Op& op = emit(kind, site, group, rows_of(x));
    op.n = n;
    op.k = k;
    op.out[0] = y;
    op.in[0] = x;
    op.weight = weight;
    op.bias = bias;
    return y;
  }

  // z is saved in the buffer of x when `stats` is given; what is returned lives as long as forward reads it.
  int layernorm(int group, const char* site, int x, int residual, int gain, int bias, int stats) {
    const int y = buffer("hidden", rows_of(x), c_.hidden);
    Op& op = emit(OpKind::layernorm_forward, site, group, rows_of(x));
    op.n = c_.hidden;
    op.out[0] = y;
    op.out[1] = stats >= 0 ? x : -1;
    op.out[2] = stats;
    op.in[0] = x;
    op.in[1] = residual;
    op.weight = gain;
    op.bias = bias;
    return y;
  }

  void drop_probabilities(Op& attention, int layer) const {
    attention.p_inner = probability(attention.group, c_.attention_dropout);
    attention.site_inner = attention_site(layer);
  }

  // (B,C) → (B,H·C); `sums` (B,H) where the weight's bias is wanted.
  int by_head_expand(int group, const char* site, const char* name, int x, int weight, int bias, int sums) {
    const int C = c_.hidden, y = buffer(name, rows_of(x), c_.heads * C);
    product(OpKind::by_head_expand, group, site, y, x, weight, bias, C, C);
    plan_.ops.back().out[1] = sums;
    return y;
  }

  // (B,H·C) → (B,C).
  int by_head_reduce(int group, const char* site, const char* name, int x, int sums, int weight, int bias) {
    const int C = c_.hidden, y = buffer(name, rows_of(x), C);
    product(OpKind::by_head_reduce, group, site, y, x, weight, bias, C, C);
    plan_.ops.back().in[1] = sums;
    return y;
  }

  int first_rows(int group, int x) {
    const int y = buffer("first_rows", Rows::sequences, c_.hidden);
    Op& op = emit(OpKind::gather_rows, "first_rows", group, Rows::sequences);
    op.n = c_.hidden;
    op.out[0] = y;
    op.in[0] = x;
    return y;
  }

  int layer(int i, int x, bool first_only) {
    const LayerTensors& t = l_.layers[size_t(i)];
    const int g = i + 1, C = c_.hidden, F = c_.ffn;
    const bool save = backward(g);
    if (saves_.empty()) saves_.resize(size_t(c_.layers));
    LayerSaves& s = saves_[size_t(i)];
    s.x = x;

    const int residual = first_only ? s.x_first = first_rows(g, x) : x;
    const Rows rows = rows_of(residual);
    s.lse = save ? buffer("lse", rows, c_.heads) : -1;
    if (first_only) {
      s.q = linear(g, "query", "query", s.x_first, t.query_weight, t.query_bias, C, C);
      s.u = by_head_expand(g, "key", "expanded_query", s.q, t.key_weight, -1, -1);
      s.y = buffer("attended", rows, c_.heads * C);
      s.sums = buffer("attended_sums", rows, c_.heads);
      Op& attention = emit(OpKind::single_query_forward, "attention", g, rows);
      attention.n = C;
      attention.out[0] = s.y;
      attention.out[1] = s.lse;
      attention.out[2] = s.sums;
      attention.in[0] = x;
      attention.in[1] = s.u;
      drop_probabilities(attention, i);
      s.context = by_head_reduce(g, "value", "context", s.y, s.sums, t.value_weight, t.value_bias);
    } else {
      s.qkv = linear(g, "qkv", "qkv", x, t.query_weight, t.query_bias, 3 * C, C);
      s.context = buffer("context", rows, C);
      Op& attention = emit(OpKind::attention_forward, "attention", g, rows);
      attention.n = C;
      attention.out[0] = s.context;
      attention.out[1] = s.lse;
      attention.in[0] = s.qkv;
      drop_probabilities(attention, i);
    }

    const int attended = linear(g, "attention_output", "attention_output", s.context, t.attention_out_weight, t.attention_out_bias, C, C);
    const int attention_stats = save ? buffer("attention_stats", rows, 2) : -1;
    const int middle = layernorm(g, "attention_norm", attended, residual, t.attention_norm_gain, t.attention_norm_bias, attention_stats);
    s.attention_norm = last_op();
    plan_.ops.back().p_inner = probability(g, c_.hidden_dropout);
    plan_.ops.back().site_inner = attention_output_site(i);

    const int activation = buffer("activation", rows, F);
    s.gelu_input = save ? buffer("gelu_input", rows, F) : -1;
    Op& up = emit(OpKind::linear_gelu_forward, "ffn_in", g, rows);
    up.n = F;
    up.k = C;
    up.out[0] = activation;
    up.out[1] = s.gelu_input;
    up.in[0] = middle;
    up.weight = t.ffn_in_weight;
    up.bias = t.ffn_in_bias;

    const int ffn_out = linear(g, "ffn_out", "ffn_out", activation, t.ffn_out_weight, t.ffn_out_bias, C, F);
    const int output_stats = save ? buffer("output_stats", rows, 2) : -1;
    const int y = layernorm(g, "output_norm", ffn_out, middle, t.output_norm_gain, t.output_norm_bias, output_stats);
    s.output_norm = last_op();
    plan_.ops.back().p_inner = probability(g, c_.hidden_dropout);
    plan_.ops.back().site_inner = ffn_output_site(i);
    return y;
  }

  // (T,C) → (B,C): what the head reads.
  int pool_rows(int h) {
    const int g = c_.layers;  // belongs to the last layer: a fully frozen encoder ends with it
    if (c_.pooling == Pooling::cls) return first_rows(g, h);
    const int y = buffer("mean", Rows::sequences, c_.hidden);
    Op& op = emit(OpKind::mean_pool_forward, "mean_pool", g, Rows::sequences);
    op.n = c_.hidden;
    op.out[0] = y;
    op.in[0] = h;
    return y;
  }

  void head(int h, int rows) {
    const HeadTensors& t = l_.head;
    const int g = c_.head_group(), C = c_.hidden, R = c_.labels;
    int x = rows, pooled = -1;
    if (c_.pooling == Pooling::cls) {
      pooled = linear(g, "pooler", "pooler", rows, t.pooler_weight, t.pooler_bias, C, C);
      Op& tanh = emit(OpKind::tanh_forward, "pooler_tanh", g, Rows::sequences);
      tanh.n = C;
      tanh.out[0] = tanh.in[0] = pooled;
      x = pooled;
    }
    const float p = probability(g, c_.classifier_dropout);
    if (p > 0) x = dropout_op(g, x, p);
    plan_.logits = linear(g, "classifier", "logits", x, t.classifier_weight, t.classifier_bias, R, C);

    plan_.loss = buffer("loss", Rows::sequences, 1);
    const int dlogits = o_.train ? buffer("dlogits", Rows::sequences, R) : -1;
    Op& loss = emit(OpKind::cross_entropy, "loss", g, Rows::sequences);
    loss.n = R;
    loss.out[0] = plan_.loss;
    loss.out[1] = dlogits;
    loss.in[0] = plan_.logits;
    if (!o_.train) return;

    // ---- backward ----------------------------------------------------------------------------------------------
    if (trainable(g)) weight_gradient(g, "classifier", dlogits, x, t.classifier_weight, t.classifier_bias, R, C);
    const bool want_pooled = c_.pooling == Pooling::cls ? (trainable(g) || below(g)) : below(g);
    if (!want_pooled) return;
    int d = input_gradient(g, "classifier", "dpooled", dlogits, t.classifier_weight, R, C);
    if (p > 0) d = dropout_op(g, d, p);
    if (c_.pooling == Pooling::cls) {
      Op& tanh = emit(OpKind::tanh_backward, "pooler_tanh", g, Rows::sequences);
      tanh.n = C;
      tanh.out[0] = tanh.in[0] = d;
      tanh.in[1] = pooled;
      if (trainable(g)) weight_gradient(g, "pooler", d, rows, t.pooler_weight, t.pooler_bias, C, C);
      if (!below(g)) return;
      d = input_gradient(g, "pooler", "dhidden", d, t.pooler_weight, C, C);
    }
    if (rows != h) {  // mean pooling
      const int spread = buffer("dhidden", Rows::tokens, C);
      Op& op = emit(OpKind::mean_pool_backward, "mean_pool", c_.layers, Rows::tokens);
      op.n = C;
      op.out[0] = spread;
      op.in[0] = d;
      d = spread;
    }
    LayerGradient above{d};
    for (int i = c_.layers - 1; i >= 0 && backward(i + 1); --i) above = layer_backward(i, above);
    if (backward(0)) embeddings_backward(above);
  }

  int dropout_op(int group, int x, float p) {
    const int y = buffer("dropped", rows_of(x), c_.hidden);
    Op& op = emit(OpKind::dropout, "classifier_dropout", group, rows_of(x));
    op.n = c_.hidden;
    op.out[0] = y;
    op.in[0] = x;
    op.p_inner = p;
    op.site_inner = classifier_site(c_.layers);
    return y;
  }

  // ---- backward ------------------------------------------------------------------------------------------------

  void weight_gradient(int group, const char* site, int dy, int x, int weight, int bias, int n, int k,
                       OpKind kind = OpKind::linear_backward_weight) {
    Op& op = emit(kind, site, group, rows_of(dy));
    op.n = n;
    op.k = k;
    op.in[0] = dy;
    op.in[1] = x;
    op.weight = weight;
    op.bias = bias;
    op.gradients = plan_.gradients[size_t(group)];
  }

  int input_gradient(int group, const char* site, const char* name, int dy, int weight, int n, int k, int into = -1) {
    const int dx = into >= 0 ? into : buffer(name, rows_of(dy), k);
    Op& op = emit(OpKind::linear_backward_input, site, group, rows_of(dy));
    op.n = n;
    op.k = k;
    op.out[0] = dx;
    op.in[0] = dy;
    op.weight = weight;
    op.accumulate = into >= 0;
    return dx;
  }

  struct NormGradient {
    int dz, dx;  // dx = dz without dropout; -1 when not wanted
    int y;       // what forward returned, in the place of z; -1 when not wanted
  };
  NormGradient norm_gradient(int norm, int dy, bool want_dx, bool want_y) {
    const Op forward = plan_.ops[size_t(norm)];
    const int dz = buffer("dz", rows_of(dy), c_.hidden);
    const int dx = !want_dx ? -1 : forward.p_inner > 0 ? buffer("dx", rows_of(dy), c_.hidden) : dz;
    const int z = forward.out[1], y = want_y ? z : -1;
    Op op = forward;  // weights and dropout are the same
    op.kind = OpKind::layernorm_backward;
    op.gradients = plan_.gradients[size_t(op.group)];
    op.out[0] = dz;
    op.out[1] = dx;
    op.out[2] = y;
    op.in[0] = dy;
    op.in[1] = z;
    op.in[2] = forward.out[2];
    plan_.ops.push_back(op);
    return {dz, dx, y};
  }

  // What a layer's backward leaves to the one below.
  struct LayerGradient {
    int dx = -1;    // gradient of the layer's input
    int dqkv = -1;  // of a layer that learns: its weight gradient waits for the layer's input, which the norm below makes again
    int layer = -1;
  };
  void qkv_weight_gradient(const LayerGradient& l, int x) {
    const LayerTensors& t = l_.layers[size_t(l.layer)];
    weight_gradient(l.layer + 1, "qkv", l.dqkv, x, t.query_weight, t.query_bias, 3 * c_.hidden, c_.hidden);
  }

  LayerGradient layer_backward(int i, const LayerGradient& above) {
    const LayerTensors& t = l_.layers[size_t(i)];
    const LayerSaves& s = saves_[size_t(i)];
    const int g = i + 1, C = c_.hidden, F = c_.ffn;
    const Rows rows = rows_of(above.dx);
    const bool learn = trainable(g);

    const NormGradient out = norm_gradient(s.output_norm, above.dx, true, above.dqkv >= 0);
    if (above.dqkv >= 0) qkv_weight_gradient(above, out.y);
    const int du = buffer("du", rows, F);
    Op& gelu = emit(OpKind::linear_gelu_backward_input, "ffn_out", g, rows);
    gelu.n = C;
    gelu.k = F;
    gelu.out[0] = du;
    gelu.out[1] = gelu.in[1] = s.gelu_input;
    gelu.in[0] = out.dx;
    gelu.weight = t.ffn_out_weight;
    if (learn) weight_gradient(g, "ffn_out", out.dx, s.gelu_input, t.ffn_out_weight, t.ffn_out_bias, C, F);
    const int dmiddle = input_gradient(g, "ffn_in", "", du, t.ffn_in_weight, F, C, out.dz);

    const NormGradient att = norm_gradient(s.attention_norm, dmiddle, true, learn);
    if (learn) weight_gradient(g, "ffn_in", du, att.y, t.ffn_in_weight, t.ffn_in_bias, F, C);
    if (learn) weight_gradient(g, "attention_output", att.dx, s.context, t.attention_out_weight, t.attention_out_bias, C, C);
    const int dcontext = input_gradient(g, "attention_output", "dcontext", att.dx, t.attention_out_weight, C, C);

    if (s.x_first >= 0) return {single_query_backward(i, dcontext, att.dz)};
    const int dqkv = buffer("dqkv", Rows::tokens, 3 * C);
    Op& attention = emit(OpKind::attention_backward, "attention", g, Rows::tokens);
    attention.n = C;
    attention.out[0] = dqkv;
    attention.in[0] = dcontext;
    attention.in[1] = s.context;
    attention.in[2] = s.lse;
    attention.in[3] = s.qkv;
    drop_probabilities(attention, i);
    if (!below(g)) {
      if (learn) qkv_weight_gradient({-1, dqkv, i}, s.x);
      return {};
    }
    return {input_gradient(g, "qkv", "", dqkv, t.query_weight, 3 * C, C, att.dz), learn ? dqkv : -1, i};
  }

  // From the gradient of a first_only layer's context (B,C) to that of its input (T,C); dz is that of its first rows so far.
  int single_query_backward(int i, int dcontext, int dz) {
    const LayerTensors& t = l_.layers[size_t(i)];
    const LayerSaves& s = saves_[size_t(i)];
    const int g = i + 1, C = c_.hidden;
    const bool learn = trainable(g);
    if (learn) by_head_weight_gradient(g, "value", dcontext, s.y, s.sums, t.value_weight, t.value_bias);
    const int dsums = buffer("dsums", Rows::sequences, c_.heads);
    const int dy = by_head_expand(g, "value", "dattended", dcontext, t.value_weight, t.value_bias, dsums);
    const int du = buffer("dexpanded_query", Rows::sequences, c_.heads * C);
    const int dx = below(g) ? buffer("dhidden", Rows::tokens, C) : -1;
    Op& attention = emit(OpKind::single_query_backward, "attention", g, Rows::sequences);
    attention.n = C;
    attention.out[0] = dx;
    attention.out[1] = du;
    attention.in[0] = dy;
    attention.in[1] = dsums;
    attention.in[2] = s.lse;
    attention.in[3] = s.x;
    attention.in[4] = s.u;
    drop_probabilities(attention, i);
    if (learn) by_head_weight_gradient(g, "key", s.q, du, -1, t.key_weight, t.key_bias);
    const int dq = by_head_reduce(g, "key", "dquery", du, -1, t.key_weight, -1);
    if (learn) weight_gradient(g, "query", dq, s.x_first, t.query_weight, t.query_bias, C, C);
    if (!below(g)) return -1;
    input_gradient(g, "query", "", dq, t.query_weight, C, C, dz);
    Op& scatter = emit(OpKind::scatter_rows, "first_rows", g, Rows::sequences);
    scatter.n = C;
    scatter.out[0] = dx;
    scatter.in[0] = dz;
    return dx;
  }

  void by_head_weight_gradient(int group, const char* site, int dy, int x, int sums, int weight, int bias) {
    weight_gradient(group, site, dy, x, weight, bias, c_.hidden, c_.hidden, OpKind::by_head_backward_weight);
    plan_.ops.back().in[2] = sums;
  }

  void embeddings_backward(const LayerGradient& above) {
    const auto& e = l_.embeddings;
    const NormGradient d = norm_gradient(embedding_norm_, above.dx, false, above.dqkv >= 0);
    if (above.dqkv >= 0) qkv_weight_gradient(above, d.y);
    auto table = [&](const char* site, int tensor, Rows rows) {
      const int out = buffer(site, rows, c_.hidden);
      Op& op = emit(OpKind::embedding_backward, site, 0, Rows::tokens);
      op.n = c_.hidden;
      op.out[0] = out;
      op.in[0] = d.dz;
      op.weight = tensor;
      return out;
    };
    plan_.word_rows = table("word", e.word, Rows::tokens);
    plan_.position_rows = table("position", e.position, Rows::tokens);
    plan_.type_rows = table("type", e.type, Rows::types);
  }

  void finish() {
    plan_.types = c_.types;
    for (size_t i = 0; i < plan_.ops.size(); ++i) {
      const Op& op = plan_.ops[i];
      auto touch = [&](int id) {
        if (id < 0) return;
        Buffer& b = plan_.buffers[size_t(id)];
        if (b.first < 0) b.first = int(i);
        b.last = int(i);
      };
      for (int id : op.out) touch(id);
      for (int id : op.in) touch(id);
      touch(op.gradients);
    }
    const int end = int(plan_.ops.size());
    for (int id : plan_.gradients)
      if (id >= 0) plan_.buffers[size_t(id)].last = end;
    for (int id : {plan_.output, plan_.logits, plan_.loss, plan_.word_rows, plan_.position_rows, plan_.type_rows})
      if (id >= 0) plan_.buffers[size_t(id)].last = end;
    if (plan_.input >= 0) plan_.buffers[size_t(plan_.input)].first = -1;
    if (!o_.train) return;
    for (size_t t = 0; t < l_.tensors.size(); ++t)
      if (trainable(l_.tensors[t].group)) {
        plan_.updates.push_back(int(t));
        plan_.trained_parameters += l_.tensors[t].size();
        if (!l_.tensors[t].row_table) plan_.trained_dense += l_.tensors[t].size();
      }
  }

  const ModelConfig& c_;
  const Layout& l_;
  const PlanOptions& o_;
  int lowest_;
  Plan plan_;
  std::vector<LayerSaves> saves_;
  int embedding_norm_ = -1;
};

}  // namespace

int prefix_depth(const ModelConfig& config, const std::vector<bool>& trainable) {
  int depth = 0;
  while (depth <= config.layers && !trainable[size_t(depth)]) ++depth;
  return depth;
}

Plan compile(const ModelConfig& config, const Layout& layout, const PlanOptions& options) {
  return Compiler(config, layout, options).run();
}

Plan compile_prefix(const ModelConfig& config, const Layout& layout, int from, int to) {
  PlanOptions options;
  options.trainable.assign(size_t(config.groups()), false);
  return Compiler(config, layout, options).run_prefix(from, to);
}

}  // namespace permafrost
