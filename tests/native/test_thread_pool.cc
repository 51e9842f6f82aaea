// test_thread_pool.cc — every task once, scratch that does not overlap, exceptions that arrive.
#include <atomic>
#include <stdexcept>

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;

TEST(thread_pool, every_task_once) {
  for (int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    t.expect(pool.threads() == threads, "threads()");
    for (int round = 0; round < 300; ++round) {
      const int tasks = round % 23;
      std::vector<std::atomic<int>> seen(static_cast<size_t>(tasks));
      std::atomic<bool> bad_thread{false};
      pool.run(tasks, [&](int task, int thread) {
        seen[size_t(task)] += 1;
        if (thread < 0 || thread >= threads) bad_thread = true;
      });
      for (const auto& count : seen) t.expect(count == 1, "a task ran twice or never");
      t.expect(!bad_thread, "thread outside [0, threads)");
    }
  }
}

TEST(thread_pool, scratch_is_private) {
  ThreadPool pool(3);
  auto* shared = static_cast<unsigned char*>(pool.shared_scratch(1000));
  std::memset(shared, 7, 1000);
  std::atomic<bool> clash{false};
  pool.run(200, [&](int task, int thread) {
    const size_t n = size_t(100 + task);
    auto* mine = static_cast<unsigned char*>(pool.scratch(thread, n));
    if (reinterpret_cast<uintptr_t>(mine) % 64 != 0) clash = true;
    std::memset(mine, task & 0xFF, n);
    for (size_t i = 0; i < n; ++i)
      if (mine[i] != (task & 0xFF)) clash = true;
  });
  for (int i = 0; i < 1000; ++i)
    if (shared[i] != 7) clash = true;
  t.expect(!clash, "scratch overlaps or is not aligned");
}

TEST(thread_pool, exceptions_arrive) {
  for (int threads : {1, 4}) {
    ThreadPool pool(threads);
    bool caught = false;
    try {
      pool.run(50, [](int task, int) {
        if (task == 17) throw std::runtime_error("task 17");
      });
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "task 17";
    }
    std::atomic<int> after{0};
    pool.run(10, [&](int, int) { ++after; });
    t.expect(caught && after == 10, "exception lost, or the pool did not survive it");
  }
}
