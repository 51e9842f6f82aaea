// ref/rows.h — element-wise ops and the ops that move or average rows: the specification.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace permafrost::kernels::ref {

template <class Real>
void tanh_forward(Real* y, const Real* x, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = std::tanh(x[i]);
}

template <class Real>
void tanh_backward(Real* dx, const Real* dy, const Real* y, size_t n) {
  for (size_t i = 0; i < n; ++i) dx[i] = dy[i] * (Real(1) - y[i] * y[i]);
}

template <class Real>
void add(Real* y, const Real* x, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

template <class Real>
void gather_rows(Real* y, const Real* x, const int32_t* rows, int B, int C) {
  for (int b = 0; b < B; ++b)
    for (int c = 0; c < C; ++c) y[size_t(b) * C + c] = x[size_t(rows[b]) * C + c];
}

// Rows are distinct. Those not named become 0, or keep their value when accumulating.
template <class Real>
void scatter_rows(Real* dx, const Real* dy, const int32_t* rows, int B, int T, int C, bool accumulate) {
  for (size_t i = 0; !accumulate && i < size_t(T) * C; ++i) dx[i] = 0;
  for (int b = 0; b < B; ++b)
    for (int c = 0; c < C; ++c) {
      Real& out = dx[size_t(rows[b]) * C + c];
      out = accumulate ? out + dy[size_t(b) * C + c] : dy[size_t(b) * C + c];
    }
}

// An empty sequence has mean 0.
template <class Real>
void mean_pool_forward(Real* y, const Real* x, const int32_t* offsets, int B, int C) {
  for (int b = 0; b < B; ++b)
    for (int c = 0; c < C; ++c) {
      Real sum = 0;
      for (int t = offsets[b]; t < offsets[b + 1]; ++t) sum += x[size_t(t) * C + c];
      const int length = offsets[b + 1] - offsets[b];
      y[size_t(b) * C + c] = length > 0 ? sum / Real(length) : Real(0);
    }
}

template <class Real>
void mean_pool_backward(Real* dx, const Real* dy, const int32_t* offsets, int B, int C) {
  for (int b = 0; b < B; ++b)
    for (int t = offsets[b]; t < offsets[b + 1]; ++t)
      for (int c = 0; c < C; ++c) dx[size_t(t) * C + c] = dy[size_t(b) * C + c] / Real(offsets[b + 1] - offsets[b]);
}

}  // namespace permafrost::kernels::ref
