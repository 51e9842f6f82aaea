// isa_portable.cc — the kernels of this folder for every other machine: NEON on arm64 (8 x 8 tile of 32 registers), plain
// arrays of four floats elsewhere, which x86 compilers turn into SSE2.
#include "std.h"

#if defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#define PERMAFROST_NEON 1
#else
#define PERMAFROST_NEON 0
#endif
#define PERMAFROST_BF16_PAIRS 0

namespace permafrost::kernels {
namespace portable {

#if PERMAFROST_NEON
constexpr int kMR = 8;
constexpr int kUnroll = 1;
#include "simd_neon.h"
#else
constexpr int kMR = 4;
constexpr int kUnroll = 1;
#include "simd_portable.h"
#endif
#include "all.inl"

}  // namespace portable

const KernelTable& portable_table() {
  static const KernelTable table = portable::make_table("portable");
  return table;
}

}  // namespace permafrost::kernels
