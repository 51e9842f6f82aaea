// peak.cc — see peak.h. Medians of seven samples: one that lost its core for a while does not count.
#include "peak.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "memory.h"

namespace permafrost {

namespace {

template <class Sample>
double median_of_seven(Sample&& sample) {
  std::array<double, 7> values;
  for (double& v : values) v = sample();
  std::nth_element(values.begin(), values.begin() + 3, values.end());
  return values[3];
}

template <class Work>
double seconds_of(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double stream(const kernels::KernelTable& ops, ThreadPool& pool) {
  // 32 MiB a thread and array, past the caches; at most 512 MiB in all, since containers with many cores may have little memory.
  const size_t n = (size_t(8) << 20) * size_t(std::min(pool.threads(), 8));
  Floats y = Floats::zeroed(n), x = Floats::zeroed(n);
  std::fill_n(x.data(), n, 1.0f);  // untouched zero pages are all the same page
  ops.add(y.data(), x.data(), n, pool);
  return median_of_seven([&] { return 3.0 * sizeof(float) * double(n) / seconds_of([&] { ops.add(y.data(), x.data(), n, pool); }); });
}

double arithmetic(const kernels::KernelTable& ops, ThreadPool& pool, kernels::Precision precision) {
  int turns = 1000;
  while (turns < 1 << 28 && seconds_of([&] { ops.register_chains(turns, precision); }) < 0.01) turns *= 2;
  std::vector<double> flops(size_t(pool.threads()));
  return median_of_seven([&] {
    const double seconds = seconds_of([&] { pool.run(pool.threads(), [&](int task, int) { flops[size_t(task)] = ops.register_chains(turns, precision); }); });
    double sum = 0;
    for (double f : flops) sum += f;
    return sum / seconds;
  });
}

}  // namespace

Peak measure_peak(const kernels::KernelTable& ops, ThreadPool& pool) {
  return {arithmetic(ops, pool, kernels::Precision::f32), arithmetic(ops, pool, kernels::Precision::bf16), stream(ops, pool)};
}

}  // namespace permafrost
