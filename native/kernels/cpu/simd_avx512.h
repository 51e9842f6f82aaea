// simd_avx512.h — the vocabulary of simd.h on AVX-512 F, BW, VL, DQ: 16 lanes, 32 registers.
//
// Included inside a namespace, after <immintrin.h> and the target pragma of isa_avx512.cc.

constexpr int kLanes = 16;
using V = __m512;
using K = __mmask16;
using I = __m512i;

PF_INLINE K first(int n) { return K((1u << n) - 1u); }
PF_INLINE V zero() { return _mm512_setzero_ps(); }
PF_INLINE V set1(float x) { return _mm512_set1_ps(x); }
PF_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
PF_INLINE void store(float* p, V v) { _mm512_storeu_ps(p, v); }
PF_INLINE void stream(float* p, V v) { _mm512_stream_ps(p, v); }
PF_INLINE void end_streams() { _mm_sfence(); }
PF_INLINE void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }
// Whole vectors by themselves, as with AVX2: what a masked store wrote may not be forwarded to the next load.
PF_INLINE V load_n(const float* p, int n) { return n == kLanes ? load(p) : _mm512_maskz_loadu_ps(first(n), p); }
PF_INLINE void store_n(float* p, V v, int n) {
  if (n == kLanes) store(p, v);
  else _mm512_mask_storeu_ps(p, first(n), v);
}

PF_INLINE V add(V a, V b) { return _mm512_add_ps(a, b); }
PF_INLINE V sub(V a, V b) { return _mm512_sub_ps(a, b); }
PF_INLINE V mul(V a, V b) { return _mm512_mul_ps(a, b); }
PF_INLINE V div(V a, V b) { return _mm512_div_ps(a, b); }
PF_INLINE V sqrt(V a) { return _mm512_sqrt_ps(a); }
PF_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
PF_INLINE V fma_into(V a, V b, V c) { return fma(a, b, c); }
PF_INLINE V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
PF_INLINE V min(V a, V b) { return _mm512_min_ps(a, b); }
PF_INLINE V max(V a, V b) { return _mm512_max_ps(a, b); }
PF_INLINE V abs(V a) { return _mm512_abs_ps(a); }
PF_INLINE V copy_sign(V magnitude, V sign) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(magnitude), _mm512_castps_si512(sign),
                                                       _mm512_set1_epi32(int(0x80000000u)), 0xD8));
}
PF_INLINE K first_lanes(int n) { return first(n); }
PF_INLINE K lt(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
PF_INLINE V select(K m, V a, V b) { return _mm512_mask_blend_ps(m, b, a); }
PF_INLINE V only(K m, V a) { return _mm512_maskz_mov_ps(m, a); }

PF_INLINE float sum_lanes(V v) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
PF_INLINE float max_lanes(V v) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

PF_INLINE V round_whole(V x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PF_INLINE V scale_by_pow2(V x, V n) { return _mm512_scalef_ps(x, n); }
// x = mantissa · 2^exponent with the mantissa in [sqrt(1/2), sqrt(2)): the bits above sqrt(1/2)'s count the exponent.
PF_INLINE V split_exponent(V x, V* mantissa) {
  const I bits = _mm512_castps_si512(x);
  const I e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3F3504F3)), 23);
  *mantissa = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23)));
  return _mm512_cvtepi32_ps(e);
}

PF_INLINE I iset1(uint32_t x) { return _mm512_set1_epi32(int(x)); }
PF_INLINE I iload(const uint32_t* p) { return _mm512_loadu_si512(p); }
PF_INLINE I iadd(I a, I b) { return _mm512_add_epi32(a, b); }
PF_INLINE I ixor3(I a, I b, I c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
PF_INLINE void imul_wide(I* hi, I* lo, I a, I b) {
  const I even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  // Low halves of odd into even's odd lanes, high halves of even into odd's even lanes.
  *lo = _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
  *hi = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}
PF_INLINE K ge_u(I a, I b) { return _mm512_cmpge_epu32_mask(a, b); }

PF_INLINE V round_bf16(V x) {
  const I u = _mm512_castps_si512(x);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const I rounded = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7FFF)), odd);
  const I quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x400000));
  const K nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const I r = _mm512_mask_blend_epi32(nan, rounded, quiet);
  return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32(int(0xFFFF0000u))));
}

PF_INLINE void interleave(V v[4]) {
  const V ab = _mm512_unpacklo_ps(v[0], v[1]), AB = _mm512_unpackhi_ps(v[0], v[1]);
  const V cd = _mm512_unpacklo_ps(v[2], v[3]), CD = _mm512_unpackhi_ps(v[2], v[3]);
  // r[k]: lanes k, k + 4, k + 8, k + 12 of all four, a 128-bit block each.
  const V r0 = _mm512_shuffle_ps(ab, cd, 0x44), r1 = _mm512_shuffle_ps(ab, cd, 0xEE);
  const V r2 = _mm512_shuffle_ps(AB, CD, 0x44), r3 = _mm512_shuffle_ps(AB, CD, 0xEE);
  // 4 x 4 transpose of blocks: even and odd blocks of r0, r1 and of r2, r3, then put together.
  const V e01 = _mm512_shuffle_f32x4(r0, r1, 0x88), o01 = _mm512_shuffle_f32x4(r0, r1, 0xDD);
  const V e23 = _mm512_shuffle_f32x4(r2, r3, 0x88), o23 = _mm512_shuffle_f32x4(r2, r3, 0xDD);
  v[0] = _mm512_shuffle_f32x4(e01, e23, 0x88);
  v[1] = _mm512_shuffle_f32x4(o01, o23, 0x88);
  v[2] = _mm512_shuffle_f32x4(e01, e23, 0xDD);
  v[3] = _mm512_shuffle_f32x4(o01, o23, 0xDD);
}

// Rows in, columns out. Three rounds of the classical butterfly: pairs, quads, then 128-bit blocks.
PF_INLINE void transpose(V r[16]) {
  V t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      const __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
      r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  for (int j = 0; j < 4; ++j) {
    const V a = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88), b = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xDD);
    const V c = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88), d = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xDD);
    t[j] = _mm512_shuffle_f32x4(a, c, 0x88);
    t[4 + j] = _mm512_shuffle_f32x4(b, d, 0x88);
    t[8 + j] = _mm512_shuffle_f32x4(a, c, 0xDD);
    t[12 + j] = _mm512_shuffle_f32x4(b, d, 0xDD);
  }
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}

#if PERMAFROST_BF16_PAIRS
// A unit is two bf16 in 32 bits, the even index of the reduction in the low half; a V carries 16 units. kEvenOdd: 16-bit
// words i and 16 + i of a register, for each i.
alignas(64) constexpr uint32_t kEvenOdd[kLanes] = {
    0x00100000, 0x00110001, 0x00120002, 0x00130003, 0x00140004, 0x00150005, 0x00160006, 0x00170007,
    0x00180008, 0x00190009, 0x001A000A, 0x001B000B, 0x001C000C, 0x001D000D, 0x001E000E, 0x001F000F};
PF_INLINE V pair_rows(V even, V odd) {
  const I halves = (__m512i)_mm512_cvtne2ps_pbh(odd, even);  // all of even, then all of odd
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(iload(kEvenOdd), halves));
}
PF_INLINE V pair_along(V low16, V high16) { return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high16, low16)); }
PF_INLINE V dot2(V acc, V a, V b) {
  return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}
#endif
