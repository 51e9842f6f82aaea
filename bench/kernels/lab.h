// lab.h — what the kernel benches share: check against the reference first, then time, then say what share of a ceiling it is.
//
// Warm caches: in a step, an op's inputs were written by the op before. Median of 7 samples of at least 15 ms; against the
// register peak in turn with it: on a machine that others use both may halve within a second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <vector>

#include "core/memory.h"
#include "core/peak.h"
#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace permafrost::lab {

using Clock = std::chrono::steady_clock;
inline double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Seconds of one run, from as many as fill 15 ms.
template <class Run>
double sample_seconds(Run&& run) {
  int calls = 0;
  const Clock::time_point begin = Clock::now();
  do {
    run();
    ++calls;
  } while (seconds(begin) < 0.015);
  return seconds(begin) / calls;
}

template <class Run>
double median_seconds(Run&& run) {
  run();
  std::vector<double> samples;
  for (int sample = 0; sample < 7; ++sample) samples.push_back(sample_seconds(run));
  return median(samples);
}

// Uniform in [-0.5, 0.5).
inline std::vector<float> noise(size_t n, uint32_t seed = 1) {
  std::vector<float> x(n);
  uint32_t state = seed;
  for (float& v : x) {
    state = state * 1664525u + 1013904223u;
    v = float(state >> 8) / float(1 << 24) - 0.5f;
  }
  return x;
}

// In memory as the product has it: large pages where the system gives them, and some lines on from where the last one
// began, or matrices of 2^k rows would share the same sets of the caches (Plan::place).
class Placed {
 public:
  explicit Placed(const std::vector<float>& x) : begin_(next()), size_(x.size()), memory_(Floats::zeroed(begin_ + size_)) {
    memory_.use_large_pages();
    std::copy(x.begin(), x.end(), data());
  }
  float* data() { return memory_.data() + begin_; }
  const float* data() const { return memory_.data() + begin_; }
  size_t size() const { return size_; }

 private:
  static size_t next() {
    static size_t turn = 0;
    return turn++ % 32 * 17 * 16;
  }
  size_t begin_, size_;
  Floats memory_;
};

// Never time what is wrong: ends the program when the results differ by more than `bound` of the largest value.
inline void check(const char* what, const std::vector<float>& got, const std::vector<float>& expected, double bound) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(double(got[i]) - double(expected[i]));
    worst = std::max(worst, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
    largest = std::max(largest, std::abs(double(expected[i])));
  }
  if (worst <= bound * largest) return;
  std::printf("%s: wrong by %g of %g\n", what, worst, largest);
  std::exit(1);
}

// Medians over the rounds: the op's rate, the register peak just before it, and their ratio in the same round.
struct Rate {
  double flops, peak;  // per second
  double share;
};

struct Bench {
  ThreadPool pool;
  const kernels::KernelTable& fast = *kernels::find_kernels("auto");
  const kernels::KernelTable& ref = *kernels::find_kernels("ref");
  Peak peak;

  // argv: [threads]
  Bench(int argc, char** argv) : pool(argc > 1 ? std::atoi(argv[1]) : 2), peak(measure_peak(fast, pool)) {
    std::printf("kernels %s, %d threads; ceilings: %.0f GFLOP/s fp32, %.0f bf16, %.1f GB/s (y += x)\n", fast.name, pool.threads(),
                peak.f32 / 1e9, peak.bf16 / 1e9, peak.stream / 1e9);
  }

  // `run` does `work` FLOPs.
  Rate rate(double work, kernels::Precision precision, const std::function<void()>& run) {
    std::vector<double> rates, peaks, shares;
    run();
    for (int round = 0; round < 7; ++round) {
      peaks.push_back(sample_arithmetic(precision));
      rates.push_back(work / sample_seconds(run));
      shares.push_back(rates.back() / peaks.back());
    }
    return {median(rates), median(peaks), median(shares)};
  }

 private:
  // FLOPs per second of the register chains on all threads, as long as a sample.
  double sample_arithmetic(kernels::Precision precision) {
    constexpr int turns = 1 << 17;  // a quarter of a millisecond: starting the threads does not count
    std::vector<double> flops(size_t(pool.threads()));
    const double s = sample_seconds([&] { pool.run(pool.threads(), [&](int task, int) { flops[size_t(task)] = fast.register_chains(turns, precision); }); });
    double sum = 0;
    for (double f : flops) sum += f;
    return sum / s;
  }
};

}  // namespace permafrost::lab
