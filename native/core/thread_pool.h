// thread_pool.h — a fixed set of threads that run one indexed loop at a time.
//
// The pool decides who runs a task, never what a task computes: results may not depend on `thread` or on the number of
// threads. Tasks are claimed in order from an atomic counter. Workers spin briefly, then sleep.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace permafrost {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // threads >= 1; the caller of run() is one of them. Throws ERR_RANGE
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls fn(task, thread) for every task in [0, tasks), thread in [0, threads()). Returns when all are done.
  // Not reentrant: fn must not call run() of the same pool. The first exception of a task is thrown again from here.
  void run(int tasks, const std::function<void(int task, int thread)>& fn);

  // Working memory of one thread, 64-byte aligned, contents undefined; valid until its next scratch(). The shared one
  // belongs to the caller of run(), between and during loops. Both only grow, and die with the pool.
  void* scratch(int thread, size_t bytes);
  void* shared_scratch(size_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace permafrost
