// isa_avx2.cc — the kernels of this folder for AVX2 and FMA: 8 lanes, a 6 x 16 tile (12 of 16 registers accumulate).
#include "std.h"

#if PERMAFROST_X86
#include <immintrin.h>

#include "target_begin_avx2.h"
#define PERMAFROST_BF16_PAIRS 0

namespace permafrost::kernels {
namespace avx2 {

constexpr int kMR = 6;
constexpr int kUnroll = 4;
#include "simd_avx2.h"
#include "all.inl"

}  // namespace avx2

const KernelTable& avx2_table() {
  static const KernelTable table = avx2::make_table("avx2");
  return table;
}

}  // namespace permafrost::kernels

#include "target_end.h"
#endif
