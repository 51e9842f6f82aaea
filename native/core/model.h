// model.h — the pretrained weights, the datasets and the prefix cache: what the sessions of a model share.
//
// Not thread-safe: one executor thread owns a model and everything under it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "batch.h"
#include "memory.h"
#include "prefix_cache.h"
#include "thread_pool.h"

namespace permafrost {

class Model {
 public:
  // `isa`: "auto" or a kernel table's name; throws ERR_RANGE where it cannot run. Weights start as zeros.
  Model(const ModelConfig& config, int threads, const std::string& isa, CacheBudget cache);

  const ModelConfig& config() const { return config_; }
  const Layout& layout() const { return layout_; }
  const kernels::KernelTable& ops() const { return *ops_; }
  ThreadPool& pool() const { return *pool_; }

  void set_tensor(int tensor, const float* values);  // only before the first session
  const float* param(int tensor) const { return weights_.data() + layout_.tensors[size_t(tensor)].offset; }
  const float* weights() const { return weights_.data(); }

  // Held by every session. Throws ERR_STATE after train_in_place.
  class Use {
   public:
    explicit Use(Model& model);
    ~Use() { --model_.sessions_; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Model& model_;
  };
  // For the one session that trains the weights themselves, not copies of them: no other may be alive (ERR_STATE), and none
  // can be made later, since what it would start from is gone.
  float* train_in_place();

  // A (N, K) weight as the kernels read it, for many small batches: packing costs what some 10 tokens do. Kept
  // until the model goes: of weights that are frozen wherever they are read so. `packed` is null for what was not asked for.
  void pack(int tensor, int n, int k, kernels::Precision precision);
  const void* packed(int tensor, int n, kernels::Precision precision) const;
  size_t packed_bytes() const;  // of all of them

  int add_dataset(Dataset data);  // checked; returns its index
  const Dataset& dataset(int index) const;  // throws ERR_RANGE, also when removed
  void remove_dataset(int index);           // and its cached prefixes; indices of others stay
  PrefixCache& prefixes() { return prefixes_; }

 private:
  ModelConfig config_;
  Layout layout_;
  const kernels::KernelTable* ops_;
  std::unique_ptr<ThreadPool> pool_;
  Floats weights_;
  std::map<std::tuple<int, int, kernels::Precision>, Floats> packed_;
  std::atomic<int> sessions_{0};  // a session nobody disposed ends on another thread
  bool trained_in_place_ = false;
  std::map<int, std::unique_ptr<Dataset>> datasets_;
  int next_dataset_ = 0;
  PrefixCache prefixes_;
};

}  // namespace permafrost
