// lane.h — one training run inside a session: its trainable tensors, their moments, and AdamW.
//
// Frozen tensors are read from the model. Trainable ones are copies, unless the lane is the one that may train the model's
// own. Embedding tables are updated row by row: a row that a step does not touch has a zero gradient, whose dense AdamW
// update (decay, shrinking moments) is owed, and replayed bit for bit when the row is next read or exported. A step then
// costs what its tokens touch, not what the vocabulary holds.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "batch.h"
#include "memory.h"
#include "profile.h"

namespace permafrost {

class Model;

// The rows of an embedding table and how far each is.
struct RowTable {
  int tensor = -1;
  std::vector<uint32_t> done;   // updates applied to each row
  std::vector<uint8_t> moving;  // has had a gradient, so its moments are not zero
};

class Lane {
 public:
  // `in_place`: trains the model's weights (Model::train_in_place) instead of copies.
  Lane(Model& model, LaneConfig config, bool in_place);

  const LaneConfig& config() const { return config_; }
  uint32_t step() const { return uint32_t(step_); }
  bool trainable(int tensor) const;

  // Current value of a tensor: the lane's own if trainable, else the model's. Rows of embedding tables may owe updates.
  const float* param(int tensor) const;
  // Of trained weights and moments.
  size_t bytes() const { return (copies_.size() + m_.size() + v_.size()) * sizeof(float); }

  // Applies owed updates to the rows a batch reads (train or evaluate), or to every row.
  void settle(const Batch& batch, ThreadPool& pool);
  void settle_all(ThreadPool& pool);

  // Gradients as a plan left them.
  struct RowGradients {
    const RowOrder* order = nullptr;
    const float* rows = nullptr;  // (order->count(), C); null where the table is frozen
  };
  struct Gradients {
    std::vector<const float*> dense;  // per group of the model: of its floats from GroupRange::dense on; null where frozen
    RowGradients word, position, type;
  };
  // L2 norm over all trainable tensors.
  double gradient_norm(const Gradients& gradients, ThreadPool& pool) const;
  // One AdamW step with a rate per group; gradients are scaled by min(1, max_grad_norm / (norm + 1e-6)), as
  // torch.nn.utils.clip_grad_norm_.
  void update(const Gradients& gradients, double norm, const double* rates, ThreadPool& pool);

  void snapshot(ThreadPool& pool);
  void restore(ThreadPool& pool);  // throws ERR_STATE without a snapshot

  std::vector<uint8_t> save(ThreadPool& pool);
  void load(const uint8_t* bytes, size_t count);  // throws ERR_STATE; the lane is unchanged then

 private:
  struct Group {
    int group;
    size_t in_model;    // offset in the model's flat storage
    size_t in_moments;  // in m_, v_, copies_
    size_t in_weights;  // in p_: one of the two
    size_t floats;      // length
  };
  const Group& group_of(int tensor) const;
  float* weights(int tensor) const;        // of a trainable tensor
  size_t moment_offset(int tensor) const;  // of its moments, in m_ and v_
  RowTable* table(int tensor);
  void settle_row(RowTable& table, int row);
  void settle_rows(RowTable& table, const RowOrder& order, ThreadPool& pool);
  void update_rows(RowTable& table, const RowGradients& rows, float scale, ThreadPool& pool);
  kernels::AdamWStep adamw(double rate, double weight_decay) const;

  const Model& model_;
  LaneConfig config_;
  std::vector<Group> groups_;
  std::vector<long> group_index_;  // per model group: index in groups_, -1 frozen
  size_t size_ = 0;
  float* p_ = nullptr;  // weights: the model's when in place, else copies_
  Floats copies_, m_, v_;
  std::vector<RowTable> tables_;
  int64_t step_ = 0;
  int64_t history_from_ = 0;                // step of history_[0]
  std::vector<kernels::AdamWStep> history_;  // of the embedding group, for owed updates
  std::unique_ptr<Floats> snapshot_;
};

}  // namespace permafrost
