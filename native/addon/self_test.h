// self_test.h — runs each main op of a kernel table against `ref` on a small problem: is this machine computing right?
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../core/thread_pool.h"
#include "../kernels/kernels.h"

namespace permafrost::addon {

// Largest |difference| / largest |reference| per op.
std::vector<std::pair<std::string, double>> self_test(const kernels::KernelTable& table, ThreadPool& pool);

}  // namespace permafrost::addon
