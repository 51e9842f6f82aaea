// main.cc — permafrost_tests: the runner and the questions of op_test.h. Tests register themselves.
#include <algorithm>
#include <cstdarg>
#include <cstdlib>
#include <exception>

#include "op_test.h"

namespace permafrost::test {

std::vector<Test>& all_tests() {
  static std::vector<Test> tests;
  return tests;
}

void Context::fail(const std::string& what) {
  // A broken op fails in hundreds of places: the first few say enough.
  if (++failures_ > 5) return;
  std::printf("FAIL %s: %s\n     permafrost_tests --filter %s --seed %llu%s%s\n", name_.c_str(), what.c_str(), name_.c_str(),
              static_cast<unsigned long long>(options_.seed), options_.isa.empty() ? "" : " --isa ", options_.isa.c_str());
}

uint64_t Random::bits() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

float Random::normal() {
  const double u = 1.0 - uniform(), v = uniform();
  return float(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

std::vector<float> Random::normals(size_t n, float deviation, float mean) {
  std::vector<float> x(n);
  for (float& value : x) value = mean + deviation * normal();
  return x;
}

std::string describe(const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return text;
}

const kernels::KernelTable& ref() { return *kernels::find_kernels("ref"); }

std::vector<const kernels::KernelTable*> tables(const Context& t) {
  std::vector<const kernels::KernelTable*> found;
  for (const char* name : {"ref", "portable", "avx2", "avx512"}) {
    if (!t.isa().empty() && t.isa() != name && std::strcmp(name, "ref") != 0) continue;
    if (const kernels::KernelTable* table = kernels::find_kernels(name)) found.push_back(table);
  }
  return found;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

namespace {

// The largest error of one output over the draws, relative to its largest value, and where.
struct Worst {
  double error = 0;
  std::string where = "nowhere";

  void look(const float* got, const std::vector<double>& exact) {
    double largest = 0;
    for (double x : exact) largest = std::max(largest, std::fabs(x));
    for (size_t i = 0; i < exact.size(); ++i) {
      double e = std::fabs(double(got[i]) - exact[i]);
      if (std::isnan(e) && !std::isnan(exact[i])) e = INFINITY;
      if (!(e > 0)) continue;
      e = largest > 0 ? e / largest : INFINITY;
      if (e <= error) continue;
      error = e;
      where = describe("element %zu is %.9g, expected %.9g", i, double(got[i]), exact[i]);
    }
  }
};

}  // namespace

void check_draws(Context& t, const std::string& what, int draws, const std::function<Case(uint64_t)>& draw) {
  static ThreadPool one(1), two(2), seven(7);
  const std::vector<const kernels::KernelTable*> all = tables(t);
  std::vector<std::vector<Worst>> worst(all.size());  // table, output
  double condition = 1;
  for (int d = 0; d < draws; ++d) {
    const Case c = draw(t.seed() * 1000 + uint64_t(d));
    condition = std::max(condition, c.condition);
    for (size_t k = 0; k < all.size(); ++k) {
      const std::string label = what + " on " + all[k]->name;
      const std::vector<float> got = c.run(*all[k], one);
      worst[k].resize(c.exact.size());
      size_t at = 0;
      for (size_t i = 0; i < c.exact.size(); at += c.exact[i++].size()) {
        if (at + c.exact[i].size() > got.size()) return t.fail(label + ": too few outputs");
        worst[k][i].look(got.data() + at, c.exact[i]);
      }
      t.expect(at == got.size(), label + ": too many outputs");
      t.expect(same_bits(got, c.run(*all[k], one)), label + ": other bits the second time");
      if (all[k] == &ref()) continue;  // plain loops: it takes no threads
      t.expect(same_bits(got, c.run(*all[k], two)), label + ": other bits with 2 threads");
      t.expect(same_bits(got, c.run(*all[k], seven)), label + ": other bits with 7 threads");
    }
  }
  for (size_t k = 0; k < all.size(); ++k)
    for (size_t i = 0; i < worst[k].size(); ++i) {
      const Worst& w = worst[k][i];
      // What the others are measured by must itself be right.
      if (k == 0 && !(w.error <= kPlainUlps * 0x1p-23 * condition))
        t.fail(describe("%s, output %zu: relative error %.3g of plain fp32 with condition %.3g: %s", what.c_str(), i, w.error, condition, w.where.c_str()));
      const double plain = worst[0][i].error, allowed = 2 * plain + kUlps * 0x1p-23 * condition;
      if (!(w.error <= allowed) || std::isinf(w.error))
        t.fail(describe("%s on %s, output %zu: relative error %.3g, allowed %.3g (plain fp32 %.3g): %s", what.c_str(), all[k]->name, i,
                        w.error, allowed, plain, w.where.c_str()));
    }
}

void check_op(Context& t, const std::string& what, const std::vector<std::vector<double>>& exact, const Run& run) {
  check_draws(t, what, 1, [&](uint64_t) { return Case{exact, run}; });
}

void check_op(Context& t, const std::string& what, const std::vector<double>& exact, const Run& run) {
  check_op(t, what, std::vector<std::vector<double>>{exact}, run);
}

void check_gradient(Context& t, const std::string& what, const std::function<double(const std::vector<double>&)>& loss,
                    const std::vector<double>& x, const std::vector<double>& gradient) {
  t.expect(x.size() == gradient.size(), what + ": gradient of another size");
  double largest = 0;
  for (double g : gradient) largest = std::max(largest, std::fabs(g));
  Random random(t.seed());
  for (int probe = 0; probe < 40 && !x.empty(); ++probe) {
    const size_t i = x.size() <= 40 ? size_t(probe) % x.size() : size_t(random.below(int(x.size())));
    const double step = 1e-5 * std::max(1.0, std::fabs(x[i]));
    std::vector<double> moved = x;
    moved[i] = x[i] + step;
    const double up = loss(moved);
    moved[i] = x[i] - step;
    const double numeric = (up - loss(moved)) / (2 * step);
    if (!(std::fabs(numeric - gradient[i]) <= 1e-6 * (1 + largest)))
      t.fail(describe("%s: gradient %zu is %.12g, by differences %.12g", what.c_str(), i, gradient[i], numeric));
  }
}

double weighted_sum(const std::vector<double>& x, const std::vector<double>& weights) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * weights[i];
  return sum;
}

}  // namespace permafrost::test

int main(int argc, char** argv) {
  using namespace permafrost::test;
  Options options;
  bool list = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> const char* {
      if (i + 1 < argc) return argv[++i];
      std::fprintf(stderr, "%s needs a value\n", flag.c_str());
      std::exit(2);
    };
    if (flag == "--list") list = true;
    else if (flag == "--filter") options.filter = value();
    else if (flag == "--isa") options.isa = value();
    else if (flag == "--seed") options.seed = std::strtoull(value(), nullptr, 10);
    else {
      std::fprintf(stderr, "unknown option %s; known: --list --filter --isa --seed\n", flag.c_str());
      return 2;
    }
  }
  if (!options.isa.empty() && !permafrost::kernels::find_kernels(options.isa.c_str())) {
    std::fprintf(stderr, "no kernels named %s on this machine\n", options.isa.c_str());
    return 2;
  }
  std::vector<Test> tests = all_tests();
  std::stable_sort(tests.begin(), tests.end(), [](const Test& a, const Test& b) { return std::strcmp(a.group, b.group) < 0; });
  int passed = 0, failed = 0;
  for (const Test& test : tests) {
    const std::string name = std::string(test.group) + "." + test.name;
    if (name.find(options.filter) == std::string::npos) continue;
    if (list) {
      std::printf("%s\n", name.c_str());
      continue;
    }
    Context context(name, options);
    try {
      test.run(context);
    } catch (const std::exception& error) {
      context.fail(std::string("threw: ") + error.what());
    }
    context.failed() ? ++failed : ++passed;
  }
  if (list) return 0;
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}
