// avx512_emulated.h — the AVX-512 intrinsics that the kernels use, in plain C++, so that a machine without AVX-512 can test
// those kernels: `npm run test:native -- --emulate-avx512`. Included before everything, by CMakeLists.txt.
//
// Semantics are Intel's (Intrinsics Guide); only the forms that the kernels use, so an intrinsic missing here is a compile
// error. Slow, and never part of the product. dot products of bf16 follow VDPBF16PS: the odd pair first, each product
// rounded to fp32 and added by a fused multiply-add, denormals as zero.
#pragma once
#pragma GCC system_header  // the macros below replace some of the compiler's, on purpose

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace avx512_emulated {

typedef float F32 __attribute__((vector_size(64), may_alias));
typedef double F64 __attribute__((vector_size(64), may_alias));
typedef int32_t I32 __attribute__((vector_size(64), may_alias));
typedef uint32_t U32 __attribute__((vector_size(64), may_alias));
typedef uint64_t U64 __attribute__((vector_size(64), may_alias));
typedef uint16_t Pairs __attribute__((vector_size(64), may_alias));  // 32 bf16
typedef long long Any __attribute__((vector_size(64), may_alias));
using Mask = uint16_t;

template <class To, class From>
inline To as(From v) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &v, sizeof to);
  return to;
}
template <class Vector, class Fn>
inline Vector each(Fn fn) {
  Vector v;
  for (unsigned i = 0; i < sizeof(Vector) / sizeof(v[0]); ++i) v[i] = fn(i);
  return v;
}
inline bool on(Mask m, unsigned i) { return (m >> i) & 1; }
template <class Fn>
inline Mask mask(Fn fn) {
  Mask m = 0;
  for (unsigned i = 0; i < 16; ++i) m = Mask(m | (unsigned(bool(fn(i))) << i));
  return m;
}

inline uint16_t to_bf16(float x) {
  uint32_t u;
  std::memcpy(&u, &x, 4);
  if ((u & 0x7F800000u) == 0) return uint16_t((u >> 16) & 0x8000u);  // denormals are zero
  if ((u & 0x7FFFFFFFu) > 0x7F800000u) return uint16_t((u >> 16) | 0x40u);
  return uint16_t((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}
inline float from_bf16(uint16_t h) {
  const uint32_t u = uint32_t(h) << 16;
  float x;
  std::memcpy(&x, &u, 4);
  return std::fpclassify(x) == FP_SUBNORMAL ? 0.0f : x;
}

inline F32 setzero_ps() { return F32{}; }
inline F32 set1_ps(float x) { return F32{} + x; }
inline Any set1_epi32(int x) { return Any(I32{} + x); }
inline F32 loadu_ps(const void* p) { F32 v; std::memcpy(&v, p, sizeof v); return v; }
inline void storeu_ps(void* p, F32 v) { std::memcpy(p, &v, sizeof v); }
inline void stream_ps(void* p, F32 v) {
  if (reinterpret_cast<std::uintptr_t>(p) % 64 != 0) std::abort();  // the processor raises a fault
  storeu_ps(p, v);
}
inline Any loadu_si512(const void* p) { Any v; std::memcpy(&v, p, sizeof v); return v; }
inline void storeu_si512(void* p, Any v) { std::memcpy(p, &v, sizeof v); }
inline F32 maskz_loadu_ps(Mask m, const float* p) { return each<F32>([&](unsigned i) { return on(m, i) ? p[i] : 0.0f; }); }
inline void mask_storeu_ps(float* p, Mask m, F32 v) {
  for (unsigned i = 0; i < 16; ++i)
    if (on(m, i)) p[i] = v[i];
}

inline F32 add_ps(F32 a, F32 b) { return a + b; }
inline F32 sub_ps(F32 a, F32 b) { return a - b; }
inline F32 mul_ps(F32 a, F32 b) { return a * b; }
inline F32 div_ps(F32 a, F32 b) { return a / b; }
inline F32 sqrt_ps(F32 a) { return each<F32>([&](unsigned i) { return std::sqrt(a[i]); }); }
inline F32 fmadd_ps(F32 a, F32 b, F32 c) { return each<F32>([&](unsigned i) { return std::fma(a[i], b[i], c[i]); }); }
inline F32 fnmadd_ps(F32 a, F32 b, F32 c) { return each<F32>([&](unsigned i) { return std::fma(-a[i], b[i], c[i]); }); }
inline F32 min_ps(F32 a, F32 b) { return each<F32>([&](unsigned i) { return a[i] < b[i] ? a[i] : b[i]; }); }
inline F32 max_ps(F32 a, F32 b) { return each<F32>([&](unsigned i) { return a[i] > b[i] ? a[i] : b[i]; }); }
inline F32 abs_ps(F32 a) { return each<F32>([&](unsigned i) { return std::fabs(a[i]); }); }
inline Mask cmp_ps_mask(F32 a, F32 b, int how) {
  return mask([&](unsigned i) { return how == _CMP_LT_OQ ? a[i] < b[i] : std::isunordered(a[i], b[i]); });
}
inline F32 mask_blend_ps(Mask m, F32 a, F32 b) { return each<F32>([&](unsigned i) { return on(m, i) ? b[i] : a[i]; }); }
inline F32 maskz_mov_ps(Mask m, F32 a) { return each<F32>([&](unsigned i) { return on(m, i) ? a[i] : 0.0f; }); }
inline F32 roundscale_ps(F32 a, int) { return each<F32>([&](unsigned i) { return std::nearbyint(a[i]); }); }
inline F32 scalef_ps(F32 a, F32 b) { return each<F32>([&](unsigned i) { return std::isnan(b[i]) ? b[i] : std::scalbn(a[i], int(std::floor(b[i]))); }); }
inline __m256 extractf32x8_ps(F32 a, int half) { __m256 v; std::memcpy(&v, reinterpret_cast<const char*>(&a) + 32 * half, 32); return v; }
inline __m256 castps512_ps256(F32 a) { return extractf32x8_ps(a, 0); }

inline Any add_epi32(Any a, Any b) { return Any(U32(a) + U32(b)); }
inline Any sub_epi32(Any a, Any b) { return Any(U32(a) - U32(b)); }
inline Any and_si512(Any a, Any b) { return a & b; }
inline Any or_si512(Any a, Any b) { return a | b; }
inline Any slli_epi32(Any a, unsigned n) { return Any(U32(a) << n); }
inline Any srli_epi32(Any a, unsigned n) { return Any(U32(a) >> n); }
inline Any srai_epi32(Any a, unsigned n) { return Any(I32(a) >> int(n)); }
inline Any srli_epi64(Any a, unsigned n) { return Any(U64(a) >> n); }
inline Any mul_epu32(Any a, Any b) { return Any((U64(a) & 0xFFFFFFFFu) * (U64(b) & 0xFFFFFFFFu)); }
inline F32 cvtepi32_ps(Any a) { return each<F32>([&](unsigned i) { return float(I32(a)[i]); }); }
inline Mask cmpge_epu32_mask(Any a, Any b) { return mask([&](unsigned i) { return U32(a)[i] >= U32(b)[i]; }); }
inline Any mask_blend_epi32(Mask m, Any a, Any b) { return Any(each<U32>([&](unsigned i) { return on(m, i) ? U32(b)[i] : U32(a)[i]; })); }
inline Any ternarylogic_epi32(Any a, Any b, Any c, int table) {
  return Any(each<U32>([&](unsigned i) {
    uint32_t out = 0;
    for (int bit = 0; bit < 32; ++bit) {
      const int row = int((U32(a)[i] >> bit & 1) << 2 | (U32(b)[i] >> bit & 1) << 1 | (U32(c)[i] >> bit & 1));
      out |= uint32_t(table >> row & 1) << bit;
    }
    return out;
  }));
}

inline F32 unpacklo_ps(F32 a, F32 b) { return each<F32>([&](unsigned i) { const unsigned j = i / 4 * 4 + i % 4 / 2; return i % 2 ? b[j] : a[j]; }); }
inline F32 unpackhi_ps(F32 a, F32 b) { return each<F32>([&](unsigned i) { const unsigned j = i / 4 * 4 + 2 + i % 4 / 2; return i % 2 ? b[j] : a[j]; }); }
inline F64 unpacklo_pd(F64 a, F64 b) { return each<F64>([&](unsigned i) { return i % 2 ? b[i - 1] : a[i]; }); }
inline F64 unpackhi_pd(F64 a, F64 b) { return each<F64>([&](unsigned i) { return i % 2 ? b[i] : a[i + 1]; }); }
inline F32 shuffle_ps(F32 a, F32 b, int how) {
  return each<F32>([&](unsigned i) { const unsigned j = i / 4 * 4 + (unsigned(how) >> (2 * (i % 4)) & 3); return i % 4 < 2 ? a[j] : b[j]; });
}
inline Any mask_shuffle_epi32(Any from, Mask m, Any a, int how) {
  return Any(each<U32>([&](unsigned i) { return on(m, i) ? U32(a)[i / 4 * 4 + (unsigned(how) >> (2 * (i % 4)) & 3)] : U32(from)[i]; }));
}
inline F32 shuffle_f32x4(F32 a, F32 b, int how) {
  return each<F32>([&](unsigned i) { const unsigned j = (unsigned(how) >> (2 * (i / 4)) & 3) * 4 + i % 4; return i < 8 ? a[j] : b[j]; });
}

inline Any permutexvar_epi16(Any which, Any a) { return Any(each<Pairs>([&](unsigned i) { return Pairs(a)[Pairs(which)[i] & 31]; })); }
inline Any cvtne2ps_pbh(F32 high, F32 low) { return Any(each<Pairs>([&](unsigned i) { return to_bf16(i < 16 ? low[i] : high[i - 16]); })); }
inline F32 dpbf16_ps(F32 acc, Any a, Any b) {
  return each<F32>([&](unsigned i) {
    const Pairs x = Pairs(a), y = Pairs(b);
    const float odd = std::fma(from_bf16(x[2 * i + 1]), from_bf16(y[2 * i + 1]), acc[i]);
    return std::fma(from_bf16(x[2 * i]), from_bf16(y[2 * i]), odd);
  });
}

}  // namespace avx512_emulated

#define __m512 avx512_emulated::F32
#define __m512d avx512_emulated::F64
#define __m512i avx512_emulated::Any
#define __m512bh avx512_emulated::Any
#define __mmask16 avx512_emulated::Mask
#define _mm512_castps_pd(v) avx512_emulated::F64(v)
#define _mm512_castpd_ps(v) avx512_emulated::F32(v)
#define _mm512_castps_si512(v) avx512_emulated::Any(v)
#define _mm512_castsi512_ps(v) avx512_emulated::F32(v)
#define _mm512_setzero_ps avx512_emulated::setzero_ps
#define _mm512_set1_ps avx512_emulated::set1_ps
#define _mm512_set1_epi32 avx512_emulated::set1_epi32
#define _mm512_loadu_ps avx512_emulated::loadu_ps
#define _mm512_storeu_ps avx512_emulated::storeu_ps
#define _mm512_stream_ps avx512_emulated::stream_ps
#define _mm512_loadu_si512 avx512_emulated::loadu_si512
#define _mm512_storeu_si512 avx512_emulated::storeu_si512
#define _mm512_maskz_loadu_ps avx512_emulated::maskz_loadu_ps
#define _mm512_mask_storeu_ps avx512_emulated::mask_storeu_ps
#define _mm512_add_ps avx512_emulated::add_ps
#define _mm512_sub_ps avx512_emulated::sub_ps
#define _mm512_mul_ps avx512_emulated::mul_ps
#define _mm512_div_ps avx512_emulated::div_ps
#define _mm512_sqrt_ps avx512_emulated::sqrt_ps
#define _mm512_fmadd_ps avx512_emulated::fmadd_ps
#define _mm512_fnmadd_ps avx512_emulated::fnmadd_ps
#define _mm512_min_ps avx512_emulated::min_ps
#define _mm512_max_ps avx512_emulated::max_ps
#define _mm512_abs_ps avx512_emulated::abs_ps
#define _mm512_cmp_ps_mask avx512_emulated::cmp_ps_mask
#define _mm512_mask_blend_ps avx512_emulated::mask_blend_ps
#define _mm512_maskz_mov_ps avx512_emulated::maskz_mov_ps
#define _mm512_roundscale_ps avx512_emulated::roundscale_ps
#define _mm512_scalef_ps avx512_emulated::scalef_ps
#define _mm512_extractf32x8_ps avx512_emulated::extractf32x8_ps
#define _mm512_castps512_ps256 avx512_emulated::castps512_ps256
#define _mm512_add_epi32 avx512_emulated::add_epi32
#define _mm512_sub_epi32 avx512_emulated::sub_epi32
#define _mm512_and_si512 avx512_emulated::and_si512
#define _mm512_or_si512 avx512_emulated::or_si512
#define _mm512_slli_epi32 avx512_emulated::slli_epi32
#define _mm512_srli_epi32 avx512_emulated::srli_epi32
#define _mm512_srai_epi32 avx512_emulated::srai_epi32
#define _mm512_srli_epi64 avx512_emulated::srli_epi64
#define _mm512_mul_epu32 avx512_emulated::mul_epu32
#define _mm512_cvtepi32_ps avx512_emulated::cvtepi32_ps
#define _mm512_cmpge_epu32_mask avx512_emulated::cmpge_epu32_mask
#define _mm512_mask_blend_epi32 avx512_emulated::mask_blend_epi32
#define _mm512_ternarylogic_epi32 avx512_emulated::ternarylogic_epi32
#define _mm512_unpacklo_ps avx512_emulated::unpacklo_ps
#define _mm512_unpackhi_ps avx512_emulated::unpackhi_ps
#define _mm512_unpacklo_pd avx512_emulated::unpacklo_pd
#define _mm512_unpackhi_pd avx512_emulated::unpackhi_pd
#define _mm512_shuffle_ps avx512_emulated::shuffle_ps
#define _mm512_mask_shuffle_epi32 avx512_emulated::mask_shuffle_epi32
#define _mm512_shuffle_f32x4 avx512_emulated::shuffle_f32x4
#define _mm512_permutexvar_epi16 avx512_emulated::permutexvar_epi16
#define _mm512_cvtne2ps_pbh avx512_emulated::cvtne2ps_pbh
#define _mm512_dpbf16_ps avx512_emulated::dpbf16_ps
