// ref/linear.h — linear layers and their gradients in plain loops: the specification of cpu/linear.inl.
//
// Templates over Real: float is the table "ref", double the oracle of the tests. Sums run over the reduction index in
// order, in Real. Precision::bf16 rounds both factors of every product, nothing else: bias, u and dbias stay whole.
#pragma once

#include <cmath>

#include "../bf16.h"
#include "../kernels.h"

namespace permafrost::kernels::ref {

template <class Real>
Real factor(Real x, Precision precision) {
  return precision == Precision::bf16 ? Real(bf16_round(float(x))) : x;
}

// Φ(u), the normal distribution function, by erfc: 1 + erf loses every digit for u below -5.
template <class Real>
Real normal_cdf(Real u) {
  return Real(0.5) * std::erfc(-u * Real(0.70710678118654752440));
}
template <class Real>
Real gelu(Real u) {
  return u * normal_cdf(u);
}
template <class Real>
Real gelu_derivative(Real u) {
  return normal_cdf(u) + u * Real(0.39894228040143267794) * std::exp(Real(-0.5) * u * u);
}

template <class Real>
void linear_forward(Real* y, const Real* x, const Real* w, const Real* bias, int M, int N, int K, Precision precision) {
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) {
      Real sum = 0;
      for (int k = 0; k < K; ++k)
        sum += factor(x[size_t(m) * K + k], precision) * factor(w[size_t(n) * K + k], precision);
      y[size_t(m) * N + n] = bias ? sum + bias[n] : sum;
    }
}

template <class Real>
void linear_gelu_forward(Real* y, Real* u, const Real* x, const Real* w, const Real* bias, int M, int N, int K, Precision precision) {
  linear_forward(y, x, w, bias, M, N, K, precision);
  for (size_t i = 0; i < size_t(M) * N; ++i) {
    if (u) u[i] = y[i];
    y[i] = gelu(y[i]);
  }
}

template <class Real>
void linear_backward_input(Real* dx, const Real* dy, const Real* w, int M, int N, int K, bool accumulate, Precision precision) {
  for (int m = 0; m < M; ++m)
    for (int k = 0; k < K; ++k) {
      Real sum = 0;
      for (int n = 0; n < N; ++n)
        sum += factor(dy[size_t(m) * N + n], precision) * factor(w[size_t(n) * K + k], precision);
      Real& out = dx[size_t(m) * K + k];
      out = accumulate ? out + sum : sum;
    }
}

template <class Real>
void linear_gelu_backward_input(Real* du, Real* u, const Real* dy, const Real* w, int M, int N, int K, Precision precision) {
  linear_backward_input(du, dy, w, M, N, K, false, precision);
  for (size_t i = 0; i < size_t(M) * K; ++i) {
    du[i] *= gelu_derivative(u[i]);
    u[i] = gelu(u[i]);
  }
}

template <class Real>
void linear_backward_weight(Real* dw, Real* dbias, const Real* dy, const Real* x, int M, int N, int K, Precision precision) {
  for (int n = 0; n < N; ++n) {
    for (int k = 0; k < K; ++k) {
      Real sum = 0;
      for (int m = 0; m < M; ++m)
        sum += factor(dy[size_t(m) * N + n], precision) * factor(x[size_t(m) * K + k], precision);
      dw[size_t(n) * K + k] = sum;
    }
    if (!dbias) continue;
    Real sum = 0;
    for (int m = 0; m < M; ++m) sum += dy[size_t(m) * N + n];
    dbias[n] = sum;
  }
}

}  // namespace permafrost::kernels::ref
