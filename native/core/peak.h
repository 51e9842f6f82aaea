// peak.h — what this machine can do at most, measured here and now: the ceilings that a profile is read against.
#pragma once

#include "../kernels/kernels.h"
#include "thread_pool.h"

namespace permafrost {

struct Peak {
  double f32 = 0, bf16 = 0;  // FLOP/s of multiply-adds in registers, all threads of the pool together
  double stream = 0;         // bytes/s of y += x over 64 MB a thread: two reads and a write
};

// About a third of a second.
Peak measure_peak(const kernels::KernelTable& ops, ThreadPool& pool);

}  // namespace permafrost
