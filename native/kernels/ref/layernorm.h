// ref/layernorm.h — dropout, residual, layer norm, dropout as one op, and its gradient: the specification.
#pragma once

#include <cmath>

#include "dropout.h"

namespace permafrost::kernels::ref {

template <class Real>
void layernorm_forward(Real* y, Real* z, Real* mean, Real* rstd, const Real* x, const Real* residual, const Real* gain,
                       const Real* bias, const Dropout& inner, const Dropout& outer, Real eps, int T, int C) {
  for (int t = 0; t < T; ++t) {
    const size_t row = size_t(t) * C;
    const auto input = [&](int c) {
      const Real value = x[row + c] * dropout_factor<Real>(inner, row + c);
      return residual ? value + residual[row + c] : value;
    };
    Real sum = 0, squares = 0;
    for (int c = 0; c < C; ++c) sum += input(c);
    const Real mu = sum / Real(C);
    for (int c = 0; c < C; ++c) squares += (input(c) - mu) * (input(c) - mu);
    const Real r = Real(1) / std::sqrt(squares / Real(C) + eps);
    for (int c = 0; c < C; ++c) {
      const Real value = input(c);  // before z is written: z may alias x
      y[row + c] = ((value - mu) * r * gain[c] + bias[c]) * dropout_factor<Real>(outer, row + c);
      if (z) z[row + c] = value;
    }
    if (mean) mean[t] = mu;
    if (rstd) rstd[t] = r;
  }
}

// With n = (z - mean)·rstd and g = dy·outer·gain:  dz = rstd·(g - mean_c(g) - n·mean_c(g·n)).
template <class Real>
void layernorm_backward(Real* dx, Real* dz, Real* y, Real* dgain, Real* dbias, const Real* dy, const Real* z, const Real* mean,
                        const Real* rstd, const Real* gain, const Real* bias, const Dropout& inner, const Dropout& outer, int T, int C) {
  for (int c = 0; c < C; ++c) {
    if (dgain) dgain[c] = 0;
    if (dbias) dbias[c] = 0;
  }
  for (int t = 0; t < T; ++t) {
    const size_t row = size_t(t) * C;
    const auto normal = [&](int c) { return (z[row + c] - mean[t]) * rstd[t]; };
    const auto gradient = [&](int c) { return dy[row + c] * dropout_factor<Real>(outer, row + c); };
    Real sum = 0, dot = 0;
    for (int c = 0; c < C; ++c) {
      const Real g = gradient(c);
      sum += g * gain[c];
      dot += g * gain[c] * normal(c);
      if (dgain) dgain[c] += g * normal(c);
      if (dbias) dbias[c] += g;
    }
    sum /= Real(C);
    dot /= Real(C);
    for (int c = 0; c < C; ++c) {
      const Real d = rstd[t] * (gradient(c) * gain[c] - sum - normal(c) * dot);
      dz[row + c] = d;
      if (dx) dx[row + c] = d * dropout_factor<Real>(inner, row + c);
      if (y) y[row + c] = (normal(c) * gain[c] + bias[c]) * dropout_factor<Real>(outer, row + c);  // last: y may alias z
    }
  }
}

}  // namespace permafrost::kernels::ref
