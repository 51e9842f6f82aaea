// ref/embedding.h — sum of three table rows, and its gradient over the rows that were read: the specification.
#pragma once

#include <cstddef>
#include <cstdint>

namespace permafrost::kernels::ref {

template <class Real>
void embedding_forward(Real* x, const Real* word, const Real* position, const Real* type, const int32_t* ids,
                       const int32_t* positions, const int32_t* types, int T, int C) {
  for (int t = 0; t < T; ++t)
    for (int c = 0; c < C; ++c)
      x[size_t(t) * C + c] =
          word[size_t(ids[t]) * C + c] + position[size_t(positions[t]) * C + c] + type[size_t(types[t]) * C + c];
}

template <class Real>
void embedding_backward(Real* drows, const Real* dx, const int32_t* order, const int32_t* starts, int U, int C) {
  for (int u = 0; u < U; ++u)
    for (int c = 0; c < C; ++c) {
      Real sum = 0;
      for (int32_t i = starts[u]; i < starts[u + 1]; ++i) sum += dx[size_t(order[i]) * C + c];
      drows[size_t(u) * C + c] = sum;
    }
}

}  // namespace permafrost::kernels::ref
