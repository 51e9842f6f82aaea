// op_test.h — the harness of permafrost_tests: registration, seeded data, guarded buffers, and the questions every op is
// asked. No dependency. main.cc runs it:
//
//   permafrost_tests [--list] [--filter <words in group.name>] [--seed <n>] [--isa <table>]
//
// A test is TEST(group, name) { … } with `t` its context; groups are files, test_<group>.cc, so that ctest runs one entry
// a file. check_op asks an op four things, on every kernel table this machine runs:
//   accuracy   error against float64 at most twice that of plain fp32 (the table "ref") plus kUlps ulps of the largest
//              value times the op's condition number, which is computed from the inputs. Never raised for a test. Plain
//              fp32 itself: kPlainUlps.
//   bits       the same twice, and but for ref with 2 and 7 threads
//   bounds     canaries around every buffer made by Guarded
//   finite     no NaN where the exact answer has none: outputs start as NaN, so an element left out is seen
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/kernels.h"

namespace permafrost::test {

struct Options {
  std::string filter, isa;
  uint64_t seed = 1;
};

class Context {
 public:
  Context(std::string name, const Options& options) : name_(std::move(name)), options_(options) {}
  // Every failure prints a line that runs this test alone again.
  void fail(const std::string& what);
  void expect(bool ok, const std::string& what) {
    if (!ok) fail(what);
  }
  uint64_t seed() const { return options_.seed; }
  const std::string& isa() const { return options_.isa; }
  bool failed() const { return failures_ > 0; }

 private:
  std::string name_;
  const Options& options_;
  int failures_ = 0;
};

struct Test {
  const char *group, *name;
  void (*run)(Context&);
};
std::vector<Test>& all_tests();

struct Register {
  Register(const char* group, const char* name, void (*run)(Context&)) { all_tests().push_back({group, name, run}); }
};

#define TEST(group, name)                                                                                    \
  static void test_##group##_##name(::permafrost::test::Context& t);                                         \
  static const ::permafrost::test::Register register_##group##_##name(#group, #name, test_##group##_##name); \
  static void test_##group##_##name([[maybe_unused]] ::permafrost::test::Context& t)

// splitmix64: seeds may be 0, 1, 2 …
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
  uint64_t bits();
  double uniform() { return double(bits() >> 11) * 0x1p-53; }             // [0, 1)
  int below(int n) { return int(bits() % uint64_t(n)); }                  // [0, n)
  float normal();                                                         // mean 0, deviation 1
  std::vector<float> normals(size_t n, float deviation = 1, float mean = 0);

 private:
  uint64_t state_;
};

inline std::vector<double> widen(const std::vector<float>& x) { return {x.begin(), x.end()}; }
std::string describe(const char* format, ...);

// n values between two canaries. Starts as NaN bytes, or as a copy.
template <class T>
class Guarded {
 public:
  Guarded(Context& t, const char* name, size_t n) : t_(t), name_(name), n_(n), storage_(n + 2 * kGuard) {
    std::memset(static_cast<void*>(storage_.data()), 0xFF, storage_.size() * sizeof(T));
    for (size_t i = 0; i < kGuard; ++i) storage_[i] = storage_[n + kGuard + i] = canary(i);
  }
  Guarded(Context& t, const char* name, const std::vector<T>& from) : Guarded(t, name, from.size()) {
    if (n_) std::memcpy(data(), from.data(), n_ * sizeof(T));
  }
  ~Guarded() {
    for (size_t i = 0; i < kGuard; ++i)
      if (storage_[i] != canary(i) || storage_[n_ + kGuard + i] != canary(i)) {
        t_.fail(std::string("wrote outside ") + name_);
        return;
      }
  }
  T* data() { return storage_.data() + kGuard; }
  size_t size() const { return n_; }
  std::vector<T> values() const { return {storage_.begin() + kGuard, storage_.begin() + kGuard + std::ptrdiff_t(n_)}; }

 private:
  static constexpr size_t kGuard = 64;
  static T canary(size_t i) { return T(12345 + i); }
  Context& t_;
  const char* name_;
  size_t n_;
  std::vector<T> storage_;
};

// Tables of this machine, "ref" first; only --isa (and ref, the yardstick) when that is given.
std::vector<const kernels::KernelTable*> tables(const Context& t);
const kernels::KernelTable& ref();

// Outputs of one call, one after another.
using Run = std::function<std::vector<float>(const kernels::KernelTable&, ThreadPool&)>;

constexpr double kUlps = 2;
constexpr double kPlainUlps = 32;  // sums of up to 2,000 terms: 12 at most, measured

// One draw of an op's inputs. Outputs may be several arrays of different size of value: each is judged against its own
// largest value.
struct Case {
  std::vector<std::vector<double>> exact;
  Run run;
  double condition = 1;  // of the op at these inputs: how much larger than the result the terms are that make it
};

void check_op(Context& t, const std::string& what, const std::vector<double>& exact, const Run& run);
void check_op(Context& t, const std::string& what, const std::vector<std::vector<double>>& exact, const Run& run);
// Errors are the largest of several draws, for ours and for plain fp32 alike: where a handful of rounded exponents decides
// everything (attention of one query), one draw compares luck with luck.
void check_draws(Context& t, const std::string& what, int draws, const std::function<Case(uint64_t seed)>& draw);

bool same_bits(const std::vector<float>& a, const std::vector<float>& b);

// d loss / d x by central differences at up to 40 coordinates, against `gradient`.
void check_gradient(Context& t, const std::string& what, const std::function<double(const std::vector<double>&)>& loss,
                    const std::vector<double>& x, const std::vector<double>& gradient);

double weighted_sum(const std::vector<double>& x, const std::vector<double>& weights);

}  // namespace permafrost::test
