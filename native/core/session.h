// session.h — K lanes trained over the datasets of one model: compiles their plans, feeds them batches, keeps the clock.
//
// Work comes in bounded chunks of steps; a cancel is seen between two ops and leaves parameters at the last completed
// step. Lanes never influence each other: each has the bits it would have alone. Several lanes run side by side, a thread
// each, and threads that have none, or whose lane is done, help with the others' ops (ThreadPool::lead).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "execute.h"
#include "lane.h"
#include "model.h"

namespace permafrost {

struct StepChunk {
  int dataset = 0;
  std::vector<int> lanes;
  std::vector<std::vector<int32_t>> rows;     // per lane of the chunk, or one list for all
  std::vector<std::vector<int32_t>> offsets;  // (S+1) into rows, alike
  std::vector<double> rates;                  // (lanes, S, G)

  int steps() const { return int(offsets[0].size()) - 1; }
};

struct StepResults {
  bool cancelled = false;
  std::vector<int32_t> completed, diverged;  // per lane of the chunk
  std::vector<float> loss, gradient_norm;    // (lanes, S); NaN where not run
  double seconds = 0;
  int64_t tokens = 0, flops = 0, cache_hits = 0, cache_misses = 0, cache_bytes = 0;
};

struct EvaluateResults {
  bool cancelled = false;
  std::vector<float> logits;  // (rows, R)
  std::vector<float> loss;    // (rows), NaN without a label
  std::vector<float> hidden;  // (tokens of the rows, C) if asked for
  double seconds = 0;
};

struct GradientResults {
  float loss = 0;
  std::vector<std::string> names;
  std::vector<std::vector<float>> gradients;  // dense, also of embedding tables
};

class Session {
 public:
  // `in_place`: one lane (ERR_RANGE) trains the model's weights; no other session of the model may be alive, and none can be
  // made later (ERR_STATE). Throws ERR_RANGE when a lane trains nothing, ERR_SHAPE when its group list has the wrong length.
  Session(Model& model, std::vector<LaneConfig> lanes, kernels::Precision precision, bool cache, bool in_place);
  // Keeps the frozen weights that an evaluation reads packed: for prediction, where batches are small and many.
  void pack_frozen_weights();

  int lanes() const { return int(workers_.size()); }
  Lane& lane(int index);  // throws ERR_RANGE
  size_t bytes() const;   // of its lanes; activations come and go

  StepResults run_steps(const StepChunk& chunk);  // throws ERR_SHAPE, ERR_RANGE before any work
  EvaluateResults evaluate(int lane, int dataset, const std::vector<int32_t>& rows, bool hidden);
  GradientResults gradients(int lane, int dataset, const std::vector<int32_t>& rows);  // throws ERR_CANCELLED
  Plan plan(int lane, bool cached) const;  // a training plan

  Profile profile() const;
  void cancel() { cancel_.store(true, std::memory_order_relaxed); }
  void clear_cancel() { cancel_.store(false, std::memory_order_relaxed); }

 private:
  // What one lane needs to run by itself, on whichever thread.
  struct Worker {
    std::unique_ptr<Lane> lane;
    Plan train, train_cached;  // with and without reading the prefix
    Plan evaluate, evaluate_cached, evaluate_all;
    Floats arena;
    const Plan* placed = nullptr;  // for which plan, and up to which batch
    int64_t capacity_T = 0, capacity_B = 0;
    Batch batch;
    std::vector<const float*> prefix;
    Profile profile;
  };
  struct LaneRun;

  void validate(const StepChunk& chunk) const;
  void validate_rows(int dataset, const std::vector<int32_t>& rows) const;
  void run_lane(LaneRun& run, ThreadPool& pool);
  // Arena of the worker, fit for `plan` and the worker's batch.
  float* arena(Worker& w, Plan& plan) const;
  // Opens and fills the cache for these rows; null when the lane has no frozen prefix or there is no room.
  PrefixCache::Entry* prefetch(Worker& w, int dataset, const std::vector<int32_t>& rows, int64_t* hits, int64_t* misses);
  void fill(PrefixCache::Entry& entry, int dataset, int depth, const std::vector<int32_t>& missing);
  void point_to_prefix(Worker& w, int dataset, const PrefixCache::Entry& entry) const;
  // Clears the padding between gradients too: no op writes it, and the arena has other things there before.
  Lane::Gradients take_gradients(const Worker& w, const Plan& plan, const Execution& run) const;

  Model& model_;
  Model::Use use_;
  kernels::Precision precision_;
  bool cache_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> cancel_{false};
  Profile prefix_profile_;
};

}  // namespace permafrost
