// test_thread_pool.cc — every task and item once, threads that help, scratch that does not overlap, exceptions that arrive.
#include <atomic>
#include <bit>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;

TEST(thread_pool, every_task_once) {
  for (int threads : {1, 2, 7, 70}) {
    ThreadPool pool(threads);
    t.expect(pool.threads() == threads, "threads()");
    for (int round = 0; round < 300; ++round) {
      const int tasks = threads < 70 ? round % 23 : round;
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

TEST(thread_pool, every_item_and_its_tasks_once) {
  for (int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    for (int items : {0, 1, 2, 3, 7, 20}) {
      constexpr int kLoops = 40;
      std::vector<std::atomic<int>> led(static_cast<size_t>(items)), seen(static_cast<size_t>(items) * kLoops * 11);
      std::atomic<bool> bad{false};
      pool.lead(items, [&](int item, ThreadPool& crew) {
        led[size_t(item)] += 1;
        for (int loop = 0; loop < kLoops; ++loop) {
          auto* shared = static_cast<int*>(crew.shared_scratch(sizeof(int)));
          *shared = item * kLoops + loop;
          std::atomic<unsigned> who{0};  // a bit a thread
          crew.run(loop % 11, [&](int task, int thread) {
            seen[size_t((item * kLoops + loop) * 11 + task)] += 1;
            who |= 1u << thread;
            if (thread < 0 || thread >= threads || *shared != item * kLoops + loop) bad = true;
          });
          // No more than its share, which only grows while items end.
          if (std::popcount(who.load()) > crew.share() || crew.share() > threads) bad = true;
        }
      });
      for (const auto& count : led) t.expect(count == 1, "an item ran twice or never");
      for (size_t i = 0; i < seen.size(); ++i) t.expect(seen[i] == int(int(i % 11) < int(i / 11) % kLoops % 11), "a task of an item ran twice or never");
      t.expect(!bad, "thread outside [0, threads), scratch of another item, or more threads than its share");
      t.expect(pool.share() == threads, "alone, a loop may count on every thread");
    }
  }
}

// Until done(), or 20 s.
template <class Done>
static bool in_time(Done done) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

// Two tasks that wait for each other end only if two threads run them.
static bool helped(ThreadPool& pool) {
  std::atomic<int> here{0};
  std::atomic<bool> met{true};
  pool.run(2, [&](int, int) {
    here += 1;
    if (!in_time([&] { return here == 2; })) met = false;
  });
  return met;
}

TEST(thread_pool, a_thread_begins_with_its_own_stretch) {
  ThreadPool pool(2);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> begun{0}, first_of_worker{-1};
    std::atomic<bool> met{true};
    // The first task of each waits for the other's.
    pool.run(8, [&](int task, int thread) {
      int none = -1;
      if (thread == 1) first_of_worker.compare_exchange_strong(none, task);
      if (task % 4 != 0) return;
      begun += 1;
      if (!in_time([&] { return begun == 2; })) met = false;
    });
    t.expect(met, "both threads take part");
    t.expect(first_of_worker == 4, "the worker begins in the middle");
    if (!met) return;  // not 20 s a round
  }
}

TEST(thread_pool, what_a_busy_thread_has_left_is_taken) {
  ThreadPool pool(2);
  for (int busy : {0, 4}) {
    std::atomic<int> ended{0};
    std::atomic<bool> all{true};
    pool.run(8, [&](int task, int) {
      if (task == busy && !in_time([&] { return ended == 7; })) all = false;
      ended += 1;
    });
    t.expect(all, "all other tasks end while one lasts");
  }
}

TEST(thread_pool, threads_without_an_item_help) {
  ThreadPool pool(3);
  t.expect(helped(pool), "nobody helped with a loop");
  std::atomic<int> alone{0};
  // Item 0 ends at once, on whichever thread: that one is free, and a part of it falls to the two that lead.
  for (int round = 0; round < 20 && alone == 0; ++round)
    pool.lead(3, [&](int item, ThreadPool& crew) {
      if (item == 0) return;
      const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (crew.share() == 1 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
      if (!helped(crew)) alone += 1;
    });
  t.expect(alone == 0, "nobody helped with the loop of an item");
}

TEST(thread_pool, exception_of_an_item_arrives) {
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    bool caught = false;
    try {
      pool.lead(9, [&](int item, ThreadPool& crew) {
        crew.run(8, [&](int task, int) {
          if (item == 4 && task == 5) throw std::runtime_error("task 5 of item 4");
        });
      });
    } catch (const std::runtime_error& error) {
      caught = std::string(error.what()) == "task 5 of item 4";
    }
    std::atomic<int> after{0};
    pool.run(10, [&](int, int) { ++after; });
    t.expect(caught && after == 10 && pool.share() == threads, "exception lost, or the pool did not survive it");
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

TEST(thread_pool, an_exception_ends_everybodys_tasks) {
  ThreadPool pool(2);
  std::atomic<bool> other{false}, thrown{false};
  std::atomic<int> ran{0};
  try {
    // Task 0 throws while the worker is in its own half, which it leaves only afterwards.
    pool.run(1000, [&](int task, int) {
      ++ran;
      if (task == 500) {
        other = true;
        in_time([&] { return thrown.load(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the other thread catches it
      }
      if (task != 0) return;
      in_time([&] { return other.load(); });
      thrown = true;
      throw std::runtime_error("task 0");
    });
  } catch (const std::runtime_error&) {
  }
  t.expect(thrown && ran < 500, "the other thread went on");
}
