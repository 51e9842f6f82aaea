// layout.cc — the tensors of a BERT classifier, in storage order.
#include "layout.h"

#include "error.h"

namespace permafrost {

namespace {
constexpr size_t kAlign = 16;  // floats: one cache line, one AVX-512 register
size_t align_up(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
}  // namespace

int Layout::add(std::string name, int rows, int cols, bool vector, int group, bool decay, bool adjacent) {
  TensorInfo t;
  t.name = std::move(name);
  t.rows = rows;
  t.cols = cols;
  t.vector = vector;
  t.group = group;
  t.decay = decay;
  if (!adjacent) size = align_up(size);
  t.offset = size;
  size += t.size();
  parameters += t.size();
  tensors.push_back(t);
  return int(tensors.size()) - 1;
}

Layout::Layout(const ModelConfig& c) {
  const int C = c.hidden, F = c.ffn;
  auto matrix = [&](const std::string& n, int rows, int cols, int g, bool adjacent = false) {
    return add(n, rows, cols, false, g, true, adjacent);
  };
  auto bias = [&](const std::string& n, int size_, int g, bool adjacent = false) {
    return add(n, size_, 1, true, g, false, adjacent);
  };
  auto begin_group = [&] {
    size = align_up(size);
    groups.push_back({size, size, size, size});
  };
  auto end_decay = [&] {
    size = align_up(size);
    groups.back().decay_end = size;
  };
  auto end_group = [&] {
    size = align_up(size);
    groups.back().end = size;
  };

  begin_group();
  embeddings.word = matrix("embeddings.word_embeddings.weight", c.vocab, C, 0);
  embeddings.position = matrix("embeddings.position_embeddings.weight", c.positions, C, 0);
  embeddings.type = matrix("embeddings.token_type_embeddings.weight", c.types, C, 0);
  for (int t : {embeddings.word, embeddings.position, embeddings.type}) tensors[t].row_table = true;
  end_decay();
  groups.back().dense = size;
  embeddings.norm_gain = bias("embeddings.LayerNorm.weight", C, 0);
  embeddings.norm_bias = bias("embeddings.LayerNorm.bias", C, 0);
  end_group();

  for (int i = 0; i < c.layers; ++i) {
    const std::string p = "encoder.layer." + std::to_string(i) + ".";
    const int g = i + 1;
    LayerTensors l;
    begin_group();
    l.query_weight = matrix(p + "attention.self.query.weight", C, C, g);
    l.key_weight = matrix(p + "attention.self.key.weight", C, C, g, true);
    l.value_weight = matrix(p + "attention.self.value.weight", C, C, g, true);
    l.attention_out_weight = matrix(p + "attention.output.dense.weight", C, C, g);
    l.ffn_in_weight = matrix(p + "intermediate.dense.weight", F, C, g);
    l.ffn_out_weight = matrix(p + "output.dense.weight", C, F, g);
    end_decay();
    l.query_bias = bias(p + "attention.self.query.bias", C, g);
    l.key_bias = bias(p + "attention.self.key.bias", C, g, true);
    l.value_bias = bias(p + "attention.self.value.bias", C, g, true);
    l.attention_out_bias = bias(p + "attention.output.dense.bias", C, g);
    l.attention_norm_gain = bias(p + "attention.output.LayerNorm.weight", C, g);
    l.attention_norm_bias = bias(p + "attention.output.LayerNorm.bias", C, g);
    l.ffn_in_bias = bias(p + "intermediate.dense.bias", F, g);
    l.ffn_out_bias = bias(p + "output.dense.bias", C, g);
    l.output_norm_gain = bias(p + "output.LayerNorm.weight", C, g);
    l.output_norm_bias = bias(p + "output.LayerNorm.bias", C, g);
    end_group();
    layers.push_back(l);
  }

  const int g = c.head_group();
  begin_group();
  head.pooler_weight = head.pooler_bias = -1;
  if (c.pooling == Pooling::cls) head.pooler_weight = matrix("pooler.dense.weight", C, C, g);
  head.classifier_weight = matrix("classifier.weight", c.labels, C, g);
  end_decay();
  if (c.pooling == Pooling::cls) head.pooler_bias = bias("pooler.dense.bias", C, g);
  head.classifier_bias = bias("classifier.bias", c.labels, g);
  end_group();

  for (size_t g = 0; g < groups.size(); ++g)  // plans count a group's gradients with an int
    if (groups[g].end - groups[g].dense > size_t(INT32_MAX))
      fail("ERR_RANGE", group_name(c, int(g)), ": expected fewer than 2^31 parameters, received ", groups[g].end - groups[g].dense);

  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t end = tensors[i].offset + tensors[i].size(), next = i + 1 < tensors.size() ? tensors[i + 1].offset : size;
    if (end < next) padding.push_back({tensors[i].group, end, next - end});
  }
}

int Layout::find(const std::string& name) const {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == name) return int(i);
  return -1;
}

}  // namespace permafrost
