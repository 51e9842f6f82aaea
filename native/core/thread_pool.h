// thread_pool.h — a fixed set of threads that run indexed loops: one, or several side by side.
//
// The pool decides who runs a task, never what a task computes: results may not depend on `thread` or on the number of
// threads. A thread begins with a stretch of neighbouring tasks, the same part of every loop that all take part in, so that it mostly
// reads what it wrote itself: a line from another core's cache takes some hundred nanoseconds. Then it helps the others with theirs.
// Workers spin briefly, then sleep.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace permafrost {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // 1 to 32,767; the caller of run() is one of them. Throws ERR_RANGE
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // How many of them a loop may count on now: all, or inside lead() a fair part. For deciding how finely to cut.
  int share() const;

  // Calls fn(task, thread) for every task in [0, tasks), thread in [0, threads()). Returns when all are done.
  // Not reentrant: fn must not call run() of the same pool. The first exception of a task is thrown again from here.
  void run(int tasks, const std::function<void(int task, int thread)>& fn);

  // Calls fn(item, crew) for every item in [0, items), in order, as many at a time as there are threads. What an item runs in `crew`, a
  // pool of the same threads, is helped with by those that have no item left, each item by its share of them.
  // fn must not call this pool, nor lead() of its crew. Exceptions as from run().
  void lead(int items, const std::function<void(int item, ThreadPool& crew)>& fn);

  // Working memory of one thread, 64-byte aligned, contents undefined; valid until its next scratch(). The shared one
  // belongs to the caller of run(), between and during loops. Both only grow, and die with the pool.
  void* scratch(int thread, size_t bytes);
  void* shared_scratch(size_t bytes);

 private:
  struct Impl;
  ThreadPool(Impl& impl, int self);

  std::unique_ptr<Impl> owned_;  // null in a crew
  Impl* impl_ = nullptr;
  int self_ = 0;  // the thread that calls run()
};

}  // namespace permafrost
