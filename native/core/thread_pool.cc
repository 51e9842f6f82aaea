// thread_pool.cc — the threads behind thread_pool.h.
//
// A loop is published under a new epoch, its gate lets as many workers in as it has use for, they claim tasks from its stretches,
// an atomic counter each, who finds none left shuts the gate, and who opened it waits until nobody is inside: a worker that woke
// too late is not waited for. Each thread has a place for one loop, and the items of lead() have one more, which workers look at
// first: a thread with an item is busy with it and opens loops of its own. Workers spin for about kSpins pauses after their
// last look around, because the ops of a step follow each other within microseconds, then sleep on a condition variable, so
// that an idle session costs nothing.
// Check: tests/native/test_thread_pool.cc.
#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "error.h"
#include "spin.h"

namespace permafrost {

namespace {

// Bounds the memory of a pool of many threads; those beyond share a stretch.
constexpr int kStretchesMost = 64;

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
  using Task = std::function<void(int, int)>;

  // A gate: kOpen while workers may enter, plus how many may be inside at once times kRoom, plus how many are.
  static constexpr uint32_t kOpen = 1u << 31, kRoom = 1u << 15;
  static uint32_t inside(uint32_t gate) { return gate % kRoom; }
  static uint32_t room(uint32_t gate) { return gate % kOpen / kRoom; }

  // Neighbouring tasks of a loop: [next, end) are not claimed yet. A line each: threads with work of their own share none.
  struct alignas(64) Stretch {
    std::atomic<int> next{0};
    int end = 0;
  };

  struct alignas(64) Loop {
    // Written while the gate is shut and nobody inside.
    const Task* task = nullptr;
    int self = 0, count = 0;   // who opened it; stretches in use
    std::exception_ptr error;  // the first one thrown by a task; under mutex
    std::vector<Stretch> stretches;
    alignas(64) std::atomic<uint32_t> gate{0};
  };

  explicit Impl(int threads) : threads(threads), loops(size_t(threads) + 1), scratch(size_t(threads)), shared(size_t(threads)) {
    for (Loop& loop : loops) loop.stretches = std::vector<Stretch>(size_t(std::min(threads, kStretchesMost)));
  }

  const int threads;
  std::vector<Loop> loops;  // one for each thread, then the items of lead()
  std::vector<Block> scratch, shared;
  std::vector<std::unique_ptr<ThreadPool>> crews;  // by the thread that leads
  std::atomic<int> leading{0};                     // items that have not ended
  std::vector<std::thread> workers;

  // A worker says that it sleeps and then looks at the epoch once more; who publishes moves the epoch and then looks for
  // sleepers: in one order for all, so one of them sees the other.
  std::atomic<uint32_t> epoch{0};
  std::atomic<int> sleeping{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;

  Loop& items() { return loops.back(); }

  // Tasks until none is left, the thread's own stretch first; then nobody need enter any more.
  void drain(Loop& loop, int thread) {
    // The opener has the first to itself; where helpers are of a larger pool, two of them may begin with the same.
    const int behind = (thread - loop.self + threads) % threads;
    const int own = behind == 0 || loop.count == 1 ? 0 : 1 + (behind - 1) % (loop.count - 1);
    for (int k = 0; k < loop.count; ++k) {
      Stretch& s = loop.stretches[size_t((own + k) % loop.count)];
      for (int i; s.next.load(std::memory_order_relaxed) < s.end && (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.end;) {
        try {
          (*loop.task)(i, thread);
        } catch (...) {
          std::lock_guard<std::mutex> lock(mutex);
          if (!loop.error) loop.error = std::current_exception();
          for (Stretch& rest : loop.stretches) rest.next.store(rest.end, std::memory_order_relaxed);
        }
      }
    }
    loop.gate.fetch_and(~kOpen, std::memory_order_acq_rel);
  }

  static bool enter(Loop& loop) {
    uint32_t g = loop.gate.load(std::memory_order_relaxed);
    while (g & kOpen && inside(g) < room(g))
      if (loop.gate.compare_exchange_weak(g, g + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  // Tasks of whatever is open, items first, then other threads' loops from the next thread's on.
  void help(int thread) {
    for (int k = 0; k < threads; ++k) {
      Loop& loop = k == 0 ? items() : loops[size_t((thread + k) % threads)];
      if (!enter(loop)) continue;
      drain(loop, thread);
      loop.gate.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  // Whether the epoch moved within kSpins pauses.
  bool moved(uint32_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (epoch.load(std::memory_order_acquire) != seen) return true;
      pause();
    }
    return false;
  }

  void work(int thread) {
    for (uint32_t seen = 0;;) {
      if (!moved(seen)) {
        std::unique_lock<std::mutex> lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return epoch.load() != seen; });
        sleeping.fetch_sub(1);
      }
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      help(thread);
    }
  }

  void publish(int wanted) {
    epoch.fetch_add(1);
    const int asleep = sleeping.load();
    if (asleep == 0) return;
    // A sleeper holds the mutex between its last look and the wait.
    { std::lock_guard<std::mutex> lock(mutex); }
    if (wanted >= asleep) wake.notify_all();
    else
      for (int i = 0; i < wanted; ++i) wake.notify_one();
  }

  // Runs the loop, cut into at most `stretches`, on `self` and on up to `helpers` that come; wait(done) until they have ended
  // their tasks of it. The first exception of a task.
  template <class Wait>
  std::exception_ptr run(Loop& loop, int self, int helpers, int stretches, int tasks, const Task& task, Wait wait) {
    loop.task = &task;
    loop.self = self;
    loop.count = std::min({tasks, stretches, kStretchesMost});
    for (int k = 0; k < loop.count; ++k) {
      Stretch& s = loop.stretches[size_t(k)];
      s.next.store(int(int64_t(tasks) * k / loop.count), std::memory_order_relaxed);
      s.end = int(int64_t(tasks) * (k + 1) / loop.count);
    }
    loop.gate.store(kOpen + uint32_t(helpers) * kRoom, std::memory_order_release);
    publish(helpers);
    drain(loop, self);
    wait([&] { return inside(loop.gate.load(std::memory_order_acquire)) == 0; });
    return std::exchange(loop.error, nullptr);
  }

  ~Impl() {
    stop.store(true, std::memory_order_release);
    publish(threads);
    for (std::thread& t : workers) t.join();
  }
};

ThreadPool::ThreadPool(Impl& impl, int self) : impl_(&impl), self_(self) {}

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || uint32_t(threads) >= Impl::kRoom) fail("ERR_RANGE", "threads: expected 1 to ", Impl::kRoom - 1, ", received ", threads);
  owned_ = std::make_unique<Impl>(threads);
  impl_ = owned_.get();
  Impl& p = *impl_;
  for (int t = 0; t < p.threads; ++t) p.crews.emplace_back(new ThreadPool(p, t));
  try {
    for (int t = 1; t < p.threads; ++t) p.workers.emplace_back([impl = impl_, t] { impl->work(t); });
  } catch (const std::system_error& e) {
    fail("ERR_RANGE", "threads: expected a number this machine can start, received ", threads, " (", e.what(), ")");
  }
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->threads; }

int ThreadPool::share() const {
  const int leading = impl_->leading.load(std::memory_order_relaxed);
  return leading <= 1 ? impl_->threads : (impl_->threads + leading - 1) / leading;
}

void ThreadPool::run(int tasks, const std::function<void(int task, int thread)>& fn) {
  if (tasks <= 0) return;
  Impl& p = *impl_;
  // No more than its share: the next leader wants help too.
  const int helpers = std::min(tasks, share()) - 1;
  if (helpers == 0) {
    for (int i = 0; i < tasks; ++i) fn(i, self_);
    return;
  }
  // The rest is at most one task long.
  const std::exception_ptr error =
      p.run(p.loops[size_t(self_)], self_, helpers, helpers + 1, tasks, fn, [](auto done) { spin_until(done); });
  if (error) std::rethrow_exception(error);
}

void ThreadPool::lead(int items, const std::function<void(int item, ThreadPool& crew)>& fn) {
  Impl& p = *impl_;
  if (p.threads == 1 || items <= 1) {
    for (int i = 0; i < items; ++i) fn(i, *this);
    return;
  }
  const Impl::Task item = [&](int i, int thread) {
    fn(i, *p.crews[size_t(thread)]);
    p.leading.fetch_sub(1, std::memory_order_relaxed);
  };
  p.leading.store(items, std::memory_order_relaxed);
  const std::exception_ptr error = p.run(p.items(), self_, std::min(items, p.threads) - 1, 1, items, item, [&](auto done) {
    while (!done()) {
      const uint32_t seen = p.epoch.load(std::memory_order_acquire);
      p.help(self_);
      if (!p.moved(seen)) std::this_thread::yield();
    }
  });
  p.leading.store(0, std::memory_order_relaxed);
  if (error) std::rethrow_exception(error);
}

void* ThreadPool::scratch(int thread, size_t bytes) { return impl_->scratch[size_t(thread)].at_least(bytes); }
void* ThreadPool::shared_scratch(size_t bytes) { return impl_->shared[size_t(self_)].at_least(bytes); }

}  // namespace permafrost
