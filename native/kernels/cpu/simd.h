// simd.h — the vector vocabulary that every kernel of this folder is written in, and which file defines it.
//
// The kernels (*.inl) are compiled once for each instruction set: isa_<name>.cc turns the set on by a pragma, after all
// standard headers, opens its own namespace and includes them. So no build needs a per-file flag, and no function of one
// set can be picked by the linker for another. Everything below is a free function with internal linkage, no templates of
// the standard library, no operators: MSVC has neither on its vector types.
//
//   kLanes            floats in a vector            V, K, I    floats, lane mask, 32-bit integers
//   load store        whole vectors, any alignment  load_n store_n   the first n lanes, 0 <= n <= kLanes; others 0 / untouched
//   stream end_streams   store whole vectors, aligned, past the caches where there is a way; others see them after end_streams
//   prefetch(p)       asks for p's cache line where there is a way; p may lie anywhere
//   fma(a,b,c)        a·b + c, rounded once         fnma(a,b,c)      c - a·b
//   fma_into(a,b,c)   fma for a c that nobody reads again: the compiler may not choose a form that ends in another register
//   lt first_lanes    masks: a < b; the first n     select only       m ? a : b; m ? a : 0
//   sum_lanes max_lanes  fixed tree: the bits never depend on data
//   min max           the second argument when either is NaN: min(limit, x) lets a NaN through
//   round_whole scale_by_pow2(x, n)   nearest whole number as float; x·2^n for whole n, -126 <= n <= 127
//   split_exponent(x, &m)  x = m·2^result, m in [sqrt(1/2), sqrt(2)); x normal and positive
//   iset1 iadd ixor3 imul_wide(hi, lo, a, b)  32x32 -> 64 by lane;  ge_u(a, b) unsigned >=
//   round_bf16        lanes rounded to bf16, nearest even, as floats
//   transpose(r)      kLanes x kLanes block in registers
//   interleave(v)     v[0..4) become the 4·kLanes lanes v[0][0], v[1][0], v[2][0], v[3][0], v[0][1], …
//
// With PERMAFROST_BF16_PAIRS also: unit of two bf16 (k even in the low half) and dot2(acc, a, b).
#pragma once

#if defined(_MSC_VER)
#define PF_INLINE static __forceinline
#else
#define PF_INLINE static inline __attribute__((always_inline, unused))
#endif

#if defined(__clang__)
#define PF_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PF_UNROLL _Pragma("GCC unroll 64")
#else
#define PF_UNROLL
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define PERMAFROST_X86 1
#else
#define PERMAFROST_X86 0
#endif
