// attention.cc — attention forward and backward of a packed batch, of all its tokens and of each text's first, as a share of
// the fp32 register peak.
//
//   build/bench/bench/attention [threads]        built as gemm.cc says
//
// Work: 4·C·Σ length² FLOPs forward (q·kᵀ, p·v), 10·C·Σ length² backward (q·kᵀ again, dp, dq, dk, dv). Of the first tokens
// (single_query): 4·C·H·Σ length forward (u·xᵀ, p·x), 10·C·H·Σ length backward (u·xᵀ again, dp, du, dx twice).
#include "lab.h"

using namespace permafrost;
using kernels::AttentionShape;
using kernels::Dropout;
using kernels::Precision;
using lab::noise;

namespace {

struct Case {
  const char* name;
  int B, length, H, D;
};

struct Batch {
  int T, C;
  std::vector<int32_t> offsets;
  AttentionShape shape{};

  explicit Batch(const Case& c) : T(c.B * c.length), C(c.H * c.D) {
    for (int b = 0; b <= c.B; ++b) offsets.push_back(b * c.length);
    shape = {offsets.data(), c.B, c.H, c.D, false, float(1.0 / std::sqrt(double(c.D)))};
  }
  Batch(const Batch&) = delete;
};

}  // namespace

int main(int argc, char** argv) {
  lab::Bench bench(argc, argv);
  ThreadPool& pool = bench.pool;
  const Case cases[] = {{"questions, 14 tokens", 16, 14, 12, 32}, {"sentences, 30 tokens", 16, 30, 12, 32}, {"MiniLM, 128 tokens", 16, 128, 12, 32},
                        {"BERT-base, 128 tokens", 16, 128, 12, 64}, {"BERT-base, 512 tokens", 4, 512, 12, 64}};
  // Forward does `work` FLOPs, backward 2.5 times as many.
  const auto time = [&](const char* name, float p, double work, const std::function<void()>& forward, const std::function<void()>& backward) {
    const lab::Rate f = bench.rate(work, Precision::f32, forward), b = bench.rate(2.5 * work, Precision::f32, backward);
    std::printf("%-24s %8.1f %12.0f %12.0f   %3.0f %% %3.0f %%\n", name, double(p), f.flops / 1e9, b.flops / 1e9, 100 * f.share, 100 * b.share);
  };
  std::printf("\n%-24s %8s %12s %12s   share of peak    GFLOP/s\n", "batch", "dropout", "forward", "backward");
  for (const Case& c : cases) {
    const Batch batch(c);
    const int T = batch.T, C = batch.C;
    const AttentionShape& shape = batch.shape;
    const auto qkv = noise(size_t(T) * 3 * C), dout = noise(size_t(T) * C, 2);
    for (const float p : {0.0f, 0.1f}) {
      const Dropout dropout{p, 1, 0, 1};
      std::vector<float> out(size_t(T) * C), lse(size_t(T) * c.H), dqkv(qkv.size());
      const auto forward = [&](const kernels::KernelTable& t, std::vector<float>& to) {
        t.attention_forward(to.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C, qkv.data() + 2 * C, 3 * C, shape, dropout, Precision::f32, pool);
      };
      const auto backward = [&](const kernels::KernelTable& t, std::vector<float>& to) {
        t.attention_backward(to.data(), to.data() + C, to.data() + 2 * C, dout.data(), out.data(), lse.data(), qkv.data(), 3 * C, qkv.data() + C,
                             qkv.data() + 2 * C, 3 * C, shape, dropout, Precision::f32, pool);
      };
      std::vector<float> expected(out.size()), expected_gradient(qkv.size());
      forward(bench.ref, expected);
      forward(bench.fast, out);
      lab::check(c.name, out, expected, 1e-5);
      backward(bench.ref, expected_gradient);
      backward(bench.fast, dqkv);
      lab::check(c.name, dqkv, expected_gradient, 1e-5);
      time(c.name, p, 4.0 * C * c.B * double(c.length) * c.length, [&] { forward(bench.fast, out); }, [&] { backward(bench.fast, dqkv); });
    }
  }
  std::printf("\n%-24s\n", "first tokens");
  for (const Case& c : cases) {
    const Batch batch(c);
    const size_t by_head = size_t(c.B) * c.H * batch.C, rows = size_t(batch.T) * batch.C;
    const auto x = noise(rows), u = noise(by_head, 2), dy = noise(by_head, 3), dsums = noise(size_t(c.B) * c.H, 4);
    for (const float p : {0.0f, 0.1f}) {
      const Dropout dropout{p, 1, 0, 1};
      std::vector<float> y(by_head), lse(size_t(c.B) * c.H), sums(lse.size()), d(rows + by_head);
      const auto forward = [&](const kernels::KernelTable& t, std::vector<float>& to) {
        t.single_query_forward(to.data(), lse.data(), sums.data(), x.data(), u.data(), batch.shape, dropout, pool);
      };
      const auto backward = [&](const kernels::KernelTable& t, std::vector<float>& to) {
        t.single_query_backward(to.data(), to.data() + rows, dy.data(), dsums.data(), lse.data(), x.data(), u.data(), batch.shape, dropout, pool);
      };
      std::vector<float> expected(y.size()), expected_gradient(d.size());
      forward(bench.ref, expected);
      forward(bench.fast, y);
      lab::check(c.name, y, expected, 1e-5);
      backward(bench.ref, expected_gradient);
      backward(bench.fast, d);
      lab::check(c.name, d, expected_gradient, 1e-5);
      time(c.name, p, 4.0 * batch.C * c.H * double(batch.T), [&] { forward(bench.fast, y); }, [&] { backward(bench.fast, d); });
    }
  }
}
