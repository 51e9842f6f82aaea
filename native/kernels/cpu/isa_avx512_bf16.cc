// isa_avx512_bf16.cc — the linear layers once more, with the bf16 dot product. The fp32 side is the same source as in
// isa_avx512.cc and gives the same bits.
#include "std.h"

#if PERMAFROST_X86
#include <immintrin.h>

#include "target_begin_avx512_bf16.h"
#define PERMAFROST_BF16_PAIRS 1

namespace permafrost::kernels {
namespace avx512_bf16 {

constexpr int kMR = 14;
constexpr int kUnroll = 1;
#include "simd_avx512.h"
#include "linear_all.inl"

}  // namespace avx512_bf16

void use_avx512_bf16(KernelTable& t) { avx512_bf16::use_linear(t); }

}  // namespace permafrost::kernels

#include "target_end.h"
#endif
