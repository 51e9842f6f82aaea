// ref/adamw.h — AdamW as torch.optim.AdamW computes it, and the sum of squares for clipping: the specification.
//
// Scalars are combined in double and rounded once: torch does that too. sqrt and / are the exact ones.
#pragma once

#include <cmath>
#include <cstddef>

#include "../kernels.h"

namespace permafrost::kernels::ref {

// The scalars of a step, rounded to what the element loop multiplies with.
template <class Real>
struct AdamWScalars {
  Real decay, beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction2, epsilon;

  explicit AdamWScalars(const AdamWStep& s)
      : decay(Real(1.0 - s.lr * s.weight_decay)),
        beta1(Real(s.beta1)),
        one_minus_beta1(Real(1.0 - s.beta1)),
        beta2(Real(s.beta2)),
        one_minus_beta2(Real(1.0 - s.beta2)),
        step_size(Real(s.lr / s.correction1)),
        root_correction2(Real(std::sqrt(s.correction2))),
        epsilon(Real(s.epsilon)) {}
};

template <class Real>
void adamw(Real* p, Real* m, Real* v, const Real* g, Real grad_scale, const AdamWStep& step, size_t n) {
  const AdamWScalars<Real> s(step);
  for (size_t i = 0; i < n; ++i) {
    const Real gradient = (g ? g[i] : Real(0)) * grad_scale;
    m[i] = s.beta1 * m[i] + s.one_minus_beta1 * gradient;
    v[i] = s.beta2 * v[i] + s.one_minus_beta2 * gradient * gradient;
    p[i] = p[i] * s.decay - s.step_size * (m[i] / (std::sqrt(v[i]) / s.root_correction2 + s.epsilon));
  }
}

// Blocks of 4096, each summed in order, then the blocks in order.
template <class Real>
double sum_squares(const Real* x, size_t n) {
  double total = 0;
  for (size_t begin = 0; begin < n; begin += 4096) {
    double sum = 0;
    for (size_t i = begin; i < n && i < begin + 4096; ++i) sum += double(x[i]) * double(x[i]);
    total += sum;
  }
  return total;
}

}  // namespace permafrost::kernels::ref
