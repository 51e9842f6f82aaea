// ref/cross_entropy.h — softmax cross entropy with label smoothing, loss and gradient in one pass: the specification.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace permafrost::kernels::ref {

template <class Real>
void cross_entropy(Real* loss, Real* dlogits, const Real* logits, const int32_t* labels, int B, int R, Real smoothing, Real scale) {
  for (int b = 0; b < B; ++b) {
    const Real* x = logits + size_t(b) * R;
    Real top = x[0], sum = 0, total = 0;
    for (int r = 0; r < R; ++r) top = x[r] > top ? x[r] : top;
    for (int r = 0; r < R; ++r) {
      sum += std::exp(x[r] - top);
      total += x[r] - top;
    }
    const Real log_sum = std::log(sum);
    // -Σ target·(x - top - log_sum), split in the one-hot part and the uniform part.
    const Real hard = log_sum - (x[labels[b]] - top), uniform = log_sum - total / Real(R);
    loss[b] = (Real(1) - smoothing) * hard + smoothing * uniform;
    for (int r = 0; dlogits && r < R; ++r) {
      const Real target = (r == labels[b] ? Real(1) - smoothing : Real(0)) + smoothing / Real(R);
      dlogits[size_t(b) * R + r] = (std::exp(x[r] - top) / sum - target) * scale;
    }
  }
}

}  // namespace permafrost::kernels::ref
