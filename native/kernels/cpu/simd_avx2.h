// simd_avx2.h — the vocabulary of simd.h on AVX2 and FMA: 8 lanes, 16 registers.
//
// Included inside a namespace, after <immintrin.h> and the target pragma of isa_avx2.cc.

constexpr int kLanes = 8;
using V = __m256;
using K = __m256;  // all bits of a lane
using I = __m256i;

alignas(32) static const int32_t kFirst[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
PF_INLINE I first(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirst + 8 - n)); }
PF_INLINE V zero() { return _mm256_setzero_ps(); }
PF_INLINE V set1(float x) { return _mm256_set1_ps(x); }
PF_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
PF_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v); }
PF_INLINE void stream(float* p, V v) { _mm256_stream_ps(p, v); }
PF_INLINE void end_streams() { _mm_sfence(); }
PF_INLINE void prefetch(const float* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }
// A whole vector is by far the common case, and a masked store is slow on AMD's cores: on Zen 3 AdamW took four times as long with it.
PF_INLINE V load_n(const float* p, int n) { return n == kLanes ? load(p) : _mm256_maskload_ps(p, first(n)); }
PF_INLINE void store_n(float* p, V v, int n) {
  if (n == kLanes) store(p, v);
  else _mm256_maskstore_ps(p, first(n), v);
}

PF_INLINE V add(V a, V b) { return _mm256_add_ps(a, b); }
PF_INLINE V sub(V a, V b) { return _mm256_sub_ps(a, b); }
PF_INLINE V mul(V a, V b) { return _mm256_mul_ps(a, b); }
PF_INLINE V div(V a, V b) { return _mm256_div_ps(a, b); }
PF_INLINE V sqrt(V a) { return _mm256_sqrt_ps(a); }
PF_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
// GCC otherwise lets accumulators wander between the 16 registers and spills some of them in the unrolled tile.
#if defined(__GNUC__)
PF_INLINE V fma_into(V a, V b, V c) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
  return c;
}
#else
PF_INLINE V fma_into(V a, V b, V c) { return fma(a, b, c); }
#endif
PF_INLINE V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
PF_INLINE V min(V a, V b) { return _mm256_min_ps(a, b); }
PF_INLINE V max(V a, V b) { return _mm256_max_ps(a, b); }
PF_INLINE V abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
PF_INLINE V copy_sign(V magnitude, V sign) {
  const V bit = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
PF_INLINE K first_lanes(int n) { return _mm256_castsi256_ps(first(n)); }
PF_INLINE K lt(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
PF_INLINE V select(K m, V a, V b) { return _mm256_blendv_ps(b, a, m); }
PF_INLINE V only(K m, V a) { return _mm256_and_ps(m, a); }

PF_INLINE float sum_lanes(V v) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
PF_INLINE float max_lanes(V v) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

PF_INLINE V round_whole(V x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PF_INLINE V scale_by_pow2(V x, V n) {
  const I e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}
PF_INLINE V split_exponent(V x, V* mantissa) {
  const I bits = _mm256_castps_si256(x);
  const I e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3F3504F3)), 23);
  *mantissa = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23)));
  return _mm256_cvtepi32_ps(e);
}

PF_INLINE I iset1(uint32_t x) { return _mm256_set1_epi32(int(x)); }
PF_INLINE I iload(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
PF_INLINE I iadd(I a, I b) { return _mm256_add_epi32(a, b); }
PF_INLINE I ixor3(I a, I b, I c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
PF_INLINE void imul_wide(I* hi, I* lo, I a, I b) {
  const I even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
  *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
  *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}
PF_INLINE K ge_u(I a, I b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a)); }

PF_INLINE V round_bf16(V x) {
  const I u = _mm256_castps_si256(x);
  const I odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const I rounded = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF)), odd);
  const I quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
  const V nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const V r = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
  return _mm256_and_ps(r, _mm256_castsi256_ps(_mm256_set1_epi32(int(0xFFFF0000u))));
}

PF_INLINE void interleave(V v[4]) {
  const V ab = _mm256_unpacklo_ps(v[0], v[1]), AB = _mm256_unpackhi_ps(v[0], v[1]);
  const V cd = _mm256_unpacklo_ps(v[2], v[3]), CD = _mm256_unpackhi_ps(v[2], v[3]);
  // Lanes 0 and 4, 1 and 5, 2 and 6, 3 and 7 of all four.
  const V r0 = _mm256_shuffle_ps(ab, cd, 0x44), r1 = _mm256_shuffle_ps(ab, cd, 0xEE);
  const V r2 = _mm256_shuffle_ps(AB, CD, 0x44), r3 = _mm256_shuffle_ps(AB, CD, 0xEE);
  v[0] = _mm256_permute2f128_ps(r0, r1, 0x20);
  v[1] = _mm256_permute2f128_ps(r2, r3, 0x20);
  v[2] = _mm256_permute2f128_ps(r0, r1, 0x31);
  v[3] = _mm256_permute2f128_ps(r2, r3, 0x31);
}

PF_INLINE void transpose(V r[8]) {
  V t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      r[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
      r[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xEE);
    }
  for (int j = 0; j < 4; ++j) {
    t[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
    t[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
  }
  for (int i = 0; i < 8; ++i) r[i] = t[i];
}
