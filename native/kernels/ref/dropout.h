// ref/dropout.h — inverted dropout from the counter generator: the specification of cpu/elementwise.inl's dropout.
#pragma once

#include <cstddef>

#include "../kernels.h"
#include "../philox.h"

namespace permafrost::kernels::ref {

// What element e is multiplied by: 0 or 1/(1-p).
template <class Real>
Real dropout_factor(const Dropout& d, uint64_t element) {
  if (d.p == 0) return 1;
  return philox_word(d.seed, d.step, d.site, element) >= dropout_threshold(d.p) ? Real(dropout_scale(d.p)) : Real(0);
}

template <class Real>
void dropout(Real* y, const Real* x, const Dropout& d, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * dropout_factor<Real>(d, i);
}

}  // namespace permafrost::kernels::ref
