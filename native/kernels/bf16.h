// bf16.h — rounding to bfloat16, nearest even, as every implementation must do it; scalar form.
//
// NaN stays NaN (quiet). Denormals keep their value here; the AVX-512 dot product reads and writes them as zero, which
// is within the rule of the tests (their eps) and the same on every such machine.
#pragma once

#include <cstdint>
#include <cstring>

namespace permafrost::kernels {

inline uint16_t bf16_bits(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  if ((u & 0x7FFFFFFFu) > 0x7F800000u) return uint16_t((u >> 16) | 0x40u);
  return uint16_t((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

inline float bf16_round(float x) {
  const uint32_t u = uint32_t(bf16_bits(x)) << 16;
  float y;
  std::memcpy(&y, &u, 4);
  return y;
}

}  // namespace permafrost::kernels
