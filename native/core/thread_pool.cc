// thread_pool.cc — the threads behind thread_pool.h.
//
// One loop at a time: run() publishes it under a new epoch, everybody claims tasks from one atomic counter, and the
// caller closes the gate and waits until no worker is inside: a worker that woke too late is not waited for. Workers spin
// for about kSpins pauses after their last loop, because the ops of a step follow each other within microseconds, then
// sleep on a condition variable, so that an idle session costs nothing.
// Not here: work stealing, priorities, nesting. Check: ctest -R thread_pool.
#include "thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "error.h"

namespace permafrost {

namespace {

// About 30 µs at 40–140 cycles a pause: longer than the gap between two ops, far shorter than a scheduler's slice.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

// 64-byte aligned memory that only grows.
struct Block {
  std::vector<unsigned char> bytes;
  void* at_least(size_t n) {
    if (bytes.size() < n + 64) {
      bytes.clear();
      bytes.shrink_to_fit();
      bytes.resize(n + n / 4 + 64);
    }
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.data() + ((64 - address % 64) % 64);
  }
};

}  // namespace

struct ThreadPool::Impl {
  static constexpr uint32_t kOpen = 1u << 31;
  using Task = std::function<void(int, int)>;

  int threads = 1;
  std::vector<std::thread> workers;
  std::vector<Block> scratch;  // one for each thread, then the shared one

  // The loop in progress. Written by run() before `epoch` moves, read by workers after they saw it move.
  const Task* task = nullptr;
  int tasks = 0;
  std::atomic<int> next{0};
  std::atomic<uint32_t> gate{0};  // kOpen while workers may enter, plus how many are inside
  std::atomic<uint32_t> epoch{0};
  std::atomic<bool> stop{false};

  std::mutex mutex;
  std::condition_variable wake;
  int sleeping = 0;  // under mutex
  std::exception_ptr error;  // the first one thrown by a task; under mutex

  void drain(int thread) {
    for (int i = next.fetch_add(1, std::memory_order_relaxed); i < tasks; i = next.fetch_add(1, std::memory_order_relaxed)) {
      try {
        (*task)(i, thread);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
        next.store(tasks, std::memory_order_relaxed);
      }
    }
  }

  void work(int thread) {
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && epoch.load(std::memory_order_acquire) == seen; ++spin) pause();
      if (epoch.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex);
        ++sleeping;
        wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
        --sleeping;
      }
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      if (!enter()) continue;
      drain(thread);
      gate.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  bool enter() {
    uint32_t g = gate.load(std::memory_order_relaxed);
    while (g & kOpen)
      if (gate.compare_exchange_weak(g, g + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  // A worker that is about to sleep holds the mutex between its last look at `epoch` and the wait, so moving the epoch
  // under the mutex cannot be missed.
  void publish() {
    bool asleep;
    {
      std::lock_guard<std::mutex> lock(mutex);
      epoch.fetch_add(1, std::memory_order_acq_rel);
      asleep = sleeping > 0;
    }
    if (asleep) wake.notify_all();
  }

  ~Impl() {
    stop.store(true, std::memory_order_release);
    publish();
    for (std::thread& t : workers) t.join();
  }
};

ThreadPool::ThreadPool(int threads) : impl_(new Impl) {
  impl_->threads = threads < 1 ? 1 : threads;
  impl_->scratch.resize(size_t(impl_->threads) + 1);
  try {
    for (int t = 1; t < impl_->threads; ++t) impl_->workers.emplace_back([impl = impl_.get(), t] { impl->work(t); });
  } catch (const std::system_error& e) {
    fail("ERR_RANGE", "threads: expected a number this machine can start, received ", threads, " (", e.what(), ")");
  }
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::run(int tasks, const std::function<void(int task, int thread)>& fn) {
  if (tasks <= 0) return;
  Impl& p = *impl_;
  if (p.threads == 1 || tasks == 1) {
    for (int i = 0; i < tasks; ++i) fn(i, 0);
    return;
  }
  p.task = &fn;
  p.tasks = tasks;
  p.error = nullptr;
  p.next.store(0, std::memory_order_relaxed);
  p.gate.store(Impl::kOpen, std::memory_order_release);
  p.publish();
  p.drain(0);
  p.gate.fetch_and(~Impl::kOpen, std::memory_order_acq_rel);
  // The rest is at most one task long; yield after a while, for machines with fewer free cores than threads.
  for (int spin = 0; p.gate.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) pause();
    else std::this_thread::yield();
  }
  if (p.error) std::rethrow_exception(p.error);
}

void* ThreadPool::scratch(int thread, size_t bytes) { return impl_->scratch[size_t(thread)].at_least(bytes); }
void* ThreadPool::shared_scratch(size_t bytes) { return impl_->scratch.back().at_least(bytes); }

}  // namespace permafrost
