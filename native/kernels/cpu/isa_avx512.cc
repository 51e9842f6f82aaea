// isa_avx512.cc — the kernels of this folder for AVX-512: 16 lanes, a 14 x 32 tile (28 of 32 registers accumulate).
//
// The instruction set is turned on below the last standard header, so that nothing of the standard library is compiled
// for it. simd.h explains the scheme.
#include "std.h"

#if PERMAFROST_X86
#include <immintrin.h>

#include "target_begin_avx512.h"
#define PERMAFROST_BF16_PAIRS 0

namespace permafrost::kernels {
namespace avx512 {

constexpr int kMR = 14;
constexpr int kUnroll = 1;
#include "simd_avx512.h"
#include "all.inl"

}  // namespace avx512

void use_avx512_bf16(KernelTable&);  // isa_avx512_bf16.cc

const KernelTable& avx512_table(bool bf16) {
  static const KernelTable plain = avx512::make_table("avx512");
  static const KernelTable paired = [] {
    KernelTable t = plain;
    use_avx512_bf16(t);
    return t;
  }();
  return bf16 ? paired : plain;
}

}  // namespace permafrost::kernels

#include "target_end.h"
#endif
