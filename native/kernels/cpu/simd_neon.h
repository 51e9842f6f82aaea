// simd_neon.h — the vocabulary of simd.h on arm64: 4 lanes, 32 registers. NEON is part of the architecture: no run-time check.
//
// Included inside a namespace, after <arm_neon.h>.

constexpr int kLanes = 4;
using V = float32x4_t;
using K = uint32x4_t;  // all bits of a lane
using I = uint32x4_t;

PF_INLINE V zero() { return vdupq_n_f32(0.0f); }
PF_INLINE V set1(float x) { return vdupq_n_f32(x); }
PF_INLINE V load(const float* p) { return vld1q_f32(p); }
PF_INLINE void store(float* p, V v) { vst1q_f32(p, v); }
PF_INLINE void stream(float* p, V v) { store(p, v); }
PF_INLINE void end_streams() {}
PF_INLINE void prefetch(const float*) {}
// There are no masked loads: a short vector goes through memory that is ours.
PF_INLINE V load_n(const float* p, int n) {
  if (n == kLanes) return load(p);
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
PF_INLINE void store_n(float* p, V v, int n) {
  if (n == kLanes) return store(p, v);
  float lanes[kLanes];
  store(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

PF_INLINE V add(V a, V b) { return vaddq_f32(a, b); }
PF_INLINE V sub(V a, V b) { return vsubq_f32(a, b); }
PF_INLINE V mul(V a, V b) { return vmulq_f32(a, b); }
PF_INLINE V div(V a, V b) { return vdivq_f32(a, b); }
PF_INLINE V sqrt(V a) { return vsqrtq_f32(a); }
PF_INLINE V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
PF_INLINE V fma_into(V a, V b, V c) { return fma(a, b, c); }
PF_INLINE V fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }
PF_INLINE K lt(V a, V b) { return vcltq_f32(a, b); }
PF_INLINE V select(K m, V a, V b) { return vbslq_f32(m, a, b); }
PF_INLINE V only(K m, V a) { return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a))); }
// By comparison: fmin and fmax of NEON return NaN when either is NaN, x86's the second argument.
PF_INLINE V min(V a, V b) { return select(lt(a, b), a, b); }
PF_INLINE V max(V a, V b) { return select(lt(b, a), a, b); }
PF_INLINE V abs(V a) { return vabsq_f32(a); }
PF_INLINE V copy_sign(V magnitude, V sign) { return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude); }
PF_INLINE K first_lanes(int n) {
  const uint32_t index[kLanes] = {0, 1, 2, 3};
  return vcltq_u32(vld1q_u32(index), vdupq_n_u32(uint32_t(n)));
}

PF_INLINE float sum_lanes(V v) {
  const float32x2_t half = vadd_f32(vget_low_f32(v), vget_high_f32(v));
  return vget_lane_f32(half, 0) + vget_lane_f32(half, 1);
}
PF_INLINE float max_lanes(V v) { return vmaxvq_f32(v); }

PF_INLINE V round_whole(V x) { return vrndnq_f32(x); }
PF_INLINE V scale_by_pow2(V x, V n) {
  const int32x4_t e = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
  return vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32(e, 23)));
}
PF_INLINE V split_exponent(V x, V* mantissa) {
  const int32x4_t bits = vreinterpretq_s32_f32(x);
  const int32x4_t e = vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3F3504F3)), 23);
  *mantissa = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32(e, 23)));
  return vcvtq_f32_s32(e);
}

PF_INLINE I iset1(uint32_t x) { return vdupq_n_u32(x); }
PF_INLINE I iload(const uint32_t* p) { return vld1q_u32(p); }
PF_INLINE I iadd(I a, I b) { return vaddq_u32(a, b); }
PF_INLINE I ixor3(I a, I b, I c) { return veorq_u32(veorq_u32(a, b), c); }
PF_INLINE void imul_wide(I* hi, I* lo, I a, I b) {
  const uint64x2_t low = vmull_u32(vget_low_u32(a), vget_low_u32(b)), high = vmull_high_u32(a, b);
  *lo = vuzp1q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
  *hi = vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
}
PF_INLINE K ge_u(I a, I b) { return vcgeq_u32(a, b); }

PF_INLINE V round_bf16(V x) {
  const I u = vreinterpretq_u32_f32(x);
  const I odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
  const I rounded = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7FFF)), odd);
  const I quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
  const I r = vbslq_u32(vceqq_f32(x, x), rounded, quiet);
  return vreinterpretq_f32_u32(vandq_u32(r, vdupq_n_u32(0xFFFF0000u)));
}

PF_INLINE void transpose(V r[4]) {
  const float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
  r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

PF_INLINE void interleave(V v[4]) { transpose(v); }  // with four lanes the same
