// execute.h — runs the op list of a plan on one batch. A switch over op kind; no decisions.
#pragma once

#include <atomic>

#include "lane.h"
#include "model.h"

namespace permafrost {

struct Execution {
  const Model& model;
  ThreadPool& pool;
  kernels::Precision precision;
  float* arena;
  const Batch& batch;
  Lane* lane = nullptr;                    // null: the model's weights
  const float* const* prefix = nullptr;    // per sequence of the batch: its cached rows
  const std::atomic<bool>* cancel = nullptr;
  Profile* profile = nullptr;
};

// False if cancelled between two ops; nothing but the arena was written then.
bool execute(const Plan& plan, const Execution& run);

// Where a buffer of the plan lies.
inline float* at(const Plan& plan, const Execution& run, int buffer) {
  return buffer < 0 ? nullptr : run.arena + plan.buffers[size_t(buffer)].offset;
}

}  // namespace permafrost
