// layout.h — the one table of a model's tensors: names, shapes, groups, decay, offsets. Nothing tests a tensor's number.
//
// Tensors of a group are contiguous: first those with weight decay, then those without, so that one optimizer call
// serves each half. Query, key and value are adjacent, so one GEMM of 3C rows serves all three.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config.h"

namespace permafrost {

struct TensorInfo {
  std::string name;  // Hugging Face's, without the "bert." prefix
  int rows = 0;      // 1-D tensors: rows = size, cols = 1
  int cols = 1;
  bool vector = false;  // 1-D
  int group = 0;
  bool decay = false;     // weight decay applies
  bool row_table = false;  // an embedding: gradients and updates are per row
  size_t offset = 0;       // floats, in the flat storage of all tensors
  size_t size() const { return size_t(rows) * cols; }
};

struct EmbeddingTensors {
  int word, position, type;  // (V,C) (P,C) (Y,C)
  int norm_gain, norm_bias;  // (C)
};
struct LayerTensors {
  int query_weight, key_weight, value_weight;  // (C,C) each, adjacent: (3C,C)
  int attention_out_weight;                    // (C,C)
  int ffn_in_weight;                           // (F,C)
  int ffn_out_weight;                          // (C,F)
  int query_bias, key_bias, value_bias;        // (C) each, adjacent: (3C)
  int attention_out_bias;                      // (C)
  int attention_norm_gain, attention_norm_bias;  // (C)
  int ffn_in_bias;                               // (F)
  int ffn_out_bias;                              // (C)
  int output_norm_gain, output_norm_bias;        // (C)
};
struct HeadTensors {
  int pooler_weight, pooler_bias;  // (C,C) (C); -1 with mean pooling
  int classifier_weight, classifier_bias;  // (R,C) (R)
};

struct GroupRange {
  size_t begin = 0, decay_end = 0, end = 0;  // floats: [begin, decay_end) decays, [decay_end, end) does not
  size_t dense = 0;                          // [dense, end) has dense gradients; embedding tables, before it, have theirs by rows
};

struct Gap {
  int group;
  size_t offset, floats;
};

struct Layout {
  explicit Layout(const ModelConfig& config);  // throws ERR_RANGE: a group has 2^31 floats or more (embedding tables may)

  std::vector<TensorInfo> tensors;
  EmbeddingTensors embeddings;
  std::vector<LayerTensors> layers;
  HeadTensors head;
  std::vector<GroupRange> groups;
  std::vector<Gap> padding;  // floats between tensors
  size_t size = 0;        // floats of the flat storage, padding included
  size_t parameters = 0;  // floats that are parameters

  int find(const std::string& name) const;  // -1 if absent

 private:
  int add(std::string name, int rows, int cols, bool vector, int group, bool decay, bool adjacent = false);
};

}  // namespace permafrost
