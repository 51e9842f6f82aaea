// test_cross_entropy.cc — loss and gradient, with and without label smoothing; NaN must come through.
#include "kernels/ref/cross_entropy.h"

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::KernelTable;

namespace {

std::vector<int32_t> labels_for(Random& random, int B, int R) {
  std::vector<int32_t> labels(static_cast<size_t>(B));
  for (int32_t& label : labels) label = random.below(R);
  return labels;
}

}  // namespace

TEST(cross_entropy, loss_and_gradient) {
  for (const auto& shape : {std::pair{1, 1}, {1, 2}, {3, 5}, {16, 12}, {33, 17}, {64, 77}, {2, 1031}})
    for (float smoothing : {0.0f, 0.1f}) {
      const int B = shape.first, R = shape.second;  // not bindings, which lambdas see from clang 16 on
      Random random(t.seed() + uint64_t(R));
      const std::vector<float> logits = random.normals(size_t(B) * R, 4.0f);
      const std::vector<int32_t> labels = labels_for(random, B, R);
      const float scale = 1.0f / float(B);
      std::vector<double> loss(static_cast<size_t>(B)), dlogits(logits.size());
      kernels::ref::cross_entropy(loss.data(), dlogits.data(), widen(logits).data(), labels.data(), B, R, double(smoothing), double(scale));
      check_op(t, describe("cross_entropy B=%d R=%d smoothing=%g", B, R, smoothing), {loss, dlogits}, [&](const KernelTable& k, ThreadPool& pool) {
        Guarded<float> loss1(t, "loss", loss.size()), loss2(t, "loss", loss.size()), d(t, "dlogits", dlogits.size());
        k.cross_entropy(loss1.data(), d.data(), logits.data(), labels.data(), B, R, smoothing, scale, pool);
        k.cross_entropy(loss2.data(), nullptr, logits.data(), labels.data(), B, R, smoothing, scale, pool);
        t.expect(same_bits(loss1.values(), loss2.values()), "other loss without gradient");
        std::vector<float> all = loss1.values();
        for (float value : d.values()) all.push_back(value);
        return all;
      });
      std::vector<double> by_loss(loss.size(), double(scale));
      check_gradient(
          t, "dlogits",
          [&](const std::vector<double>& v) {
            std::vector<double> out(loss.size());
            kernels::ref::cross_entropy<double>(out.data(), nullptr, v.data(), labels.data(), B, R, double(smoothing), double(scale));
            return weighted_sum(out, by_loss);
          },
          widen(logits), dlogits);
    }
}

TEST(cross_entropy, extreme_and_broken_logits) {
  ThreadPool pool(1);
  for (const KernelTable* k : tables(t)) {
    const std::vector<float> far = {1000.0f, -1000.0f, 0.0f, NAN, 0.0f, 1.0f};
    const std::vector<int32_t> labels = {1, 2};
    std::vector<float> loss(2), d(6);
    k->cross_entropy(loss.data(), d.data(), far.data(), labels.data(), 2, 3, 0.0f, 1.0f, pool);
    t.expect(loss[0] == 2000.0f && d[0] == 1.0f && d[1] == -1.0f, describe("far logits: loss %g on %s", loss[0], k->name));
    t.expect(std::isnan(loss[1]), describe("NaN logit: loss %g on %s", loss[1], k->name));
  }
}
