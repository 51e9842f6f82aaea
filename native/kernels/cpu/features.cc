// features.cc — what the processor has and the system saves: cpuid and xgetbv, by hand, because compilers disagree on
// the names of avx512_bf16. Everything is false where there is no x86.
#include "isa.h"
#include "simd.h"

#if PERMAFROST_X86
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace permafrost::kernels {

#if PERMAFROST_X86
namespace {

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, int(leaf), int(subleaf));
  r = {uint32_t(out[0]), uint32_t(out[1]), uint32_t(out[2]), uint32_t(out[3])};
#else
  if (!__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d)) r = {};
#endif
  return r;
}

// Which register files the system saves on a context switch.
uint64_t saved_state() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t a, d;
  asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (uint64_t(d) << 32) | a;
#endif
}

constexpr bool bit(uint32_t word, int i) { return (word >> i) & 1; }

Features probe() {
  Features f;
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0), seven1 = seven.a >= 1 ? cpuid(7, 1) : Registers{};
  if (!bit(one.c, 27)) return f;  // OSXSAVE
  const uint64_t saved = saved_state();
  const bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xE6) == 0xE6;
  f.avx2 = ymm && bit(one.c, 12) && bit(seven.b, 5) && bit(seven.b, 8);  // with FMA and BMI2: target_begin_avx2.h
  f.avx512 = zmm && f.avx2 && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
  f.avx512_bf16 = f.avx512 && bit(seven1.a, 5);
#if defined(PERMAFROST_EMULATE_AVX512)
  f.avx512 = f.avx512_bf16 = true;
#endif
  return f;
}

}  // namespace
#else
static Features probe() { return {}; }
#endif

const Features& features() {
  static const Features f = probe();
  return f;
}

}  // namespace permafrost::kernels
