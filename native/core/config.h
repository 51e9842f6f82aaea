// config.h — what a model is and how a lane is trained: plain values, checked by whoever makes them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../kernels/kernels.h"

namespace permafrost {

enum class Pooling : uint8_t { cls, mean };

struct ModelConfig {
  int vocab = 0;      // V
  int hidden = 0;     // C = heads · D, D a multiple of 8
  int layers = 0;     // L
  int heads = 0;      // H
  int ffn = 0;        // F
  int positions = 0;  // longest sequence
  int types = 0;      // token types
  int labels = 0;     // R
  int pad_token = 0;  // its embedding row gets no gradient, as nn.Embedding(padding_idx)
  float layer_norm_eps = 1e-12f;
  Pooling pooling = Pooling::cls;
  float hidden_dropout = 0, attention_dropout = 0, classifier_dropout = 0;

  int groups() const { return layers + 2; }  // embeddings, layers, head
  int head_group() const { return layers + 1; }
};

// "embeddings", "layer.0" …, "head"
inline std::string group_name(const ModelConfig& c, int group) {
  if (group == 0) return "embeddings";
  if (group == c.head_group()) return "head";
  return "layer." + std::to_string(group - 1);
}

struct LaneConfig {
  std::vector<bool> trainable;  // per group; a frozen group has no gradient, moments, decay or dropout
  uint64_t seed = 0;            // dropout
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double max_grad_norm = 0;  // 0: no clipping
  float label_smoothing = 0;
  bool dropout = true;
  // Starting values of trainable tensors other than the model's: (tensor, values). A classifier drawn from another seed.
  std::vector<std::pair<int, std::vector<float>>> initial;
};

}  // namespace permafrost
