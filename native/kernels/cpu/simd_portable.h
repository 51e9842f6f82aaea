// simd_portable.h — the vocabulary of simd.h on any machine: four floats in an array, which compilers map to SSE2 or to
// whatever there is. a·b + c is rounded twice: a library fma without the instruction costs fifty times more.
//
// Included inside a namespace. arm64 has simd_neon.h instead.

constexpr int kLanes = 4;
#if defined(__GNUC__)
typedef float Four __attribute__((vector_size(16)));  // an array of four that GCC and Clang keep in a register
#else
typedef float Four[4];
#endif
struct V {
  Four f;
};
struct K {
  uint32_t m[4];  // all ones or zero
};
struct I {
  uint32_t u[4];
};

#define PF_LANES for (int i = 0; i < 4; ++i)

PF_INLINE uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
PF_INLINE float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}

PF_INLINE V set1(float x) { V v; PF_LANES v.f[i] = x; return v; }
PF_INLINE V zero() { return set1(0.0f); }
PF_INLINE V load(const float* p) {
  V v;
  memcpy(&v.f, p, sizeof v.f);
  return v;
}
PF_INLINE void store(float* p, V v) { memcpy(p, &v.f, sizeof v.f); }
PF_INLINE void stream(float* p, V v) { store(p, v); }
PF_INLINE void end_streams() {}
PF_INLINE void prefetch(const float*) {}
PF_INLINE V load_n(const float* p, int n) {
  if (n == kLanes) return load(p);
  V v = zero();
  for (int i = 0; i < n; ++i) v.f[i] = p[i];
  return v;
}
PF_INLINE void store_n(float* p, V v, int n) {
  if (n == kLanes) return store(p, v);
  for (int i = 0; i < n; ++i) p[i] = v.f[i];
}

PF_INLINE V add(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] + b.f[i]; return r; }
PF_INLINE V sub(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] - b.f[i]; return r; }
PF_INLINE V mul(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] * b.f[i]; return r; }
PF_INLINE V div(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] / b.f[i]; return r; }
PF_INLINE V sqrt(V a) { V r; PF_LANES r.f[i] = ::sqrtf(a.f[i]); return r; }
PF_INLINE V fma(V a, V b, V c) { return add(mul(a, b), c); }
PF_INLINE V fma_into(V a, V b, V c) { return fma(a, b, c); }
PF_INLINE V fnma(V a, V b, V c) { return sub(c, mul(a, b)); }
PF_INLINE V min(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] < b.f[i] ? a.f[i] : b.f[i]; return r; }
PF_INLINE V max(V a, V b) { V r; PF_LANES r.f[i] = a.f[i] > b.f[i] ? a.f[i] : b.f[i]; return r; }
PF_INLINE V abs(V a) { V r; PF_LANES r.f[i] = float_of(bits_of(a.f[i]) & 0x7FFFFFFFu); return r; }
PF_INLINE V copy_sign(V a, V s) {
  V r;
  PF_LANES r.f[i] = float_of((bits_of(a.f[i]) & 0x7FFFFFFFu) | (bits_of(s.f[i]) & 0x80000000u));
  return r;
}
PF_INLINE K first_lanes(int n) { K r; PF_LANES r.m[i] = i < n ? ~0u : 0u; return r; }
PF_INLINE K lt(V a, V b) { K r; PF_LANES r.m[i] = a.f[i] < b.f[i] ? ~0u : 0u; return r; }
PF_INLINE V select(K m, V a, V b) { V r; PF_LANES r.f[i] = m.m[i] ? a.f[i] : b.f[i]; return r; }
PF_INLINE V only(K m, V a) { V r; PF_LANES r.f[i] = m.m[i] ? a.f[i] : 0.0f; return r; }

PF_INLINE float sum_lanes(V v) { return (v.f[0] + v.f[2]) + (v.f[1] + v.f[3]); }
PF_INLINE float max_lanes(V v) {
  const float a = v.f[0] > v.f[2] ? v.f[0] : v.f[2], b = v.f[1] > v.f[3] ? v.f[1] : v.f[3];
  return a > b ? a : b;
}

// Adding 1.5·2^23 leaves the nearest whole number in the low bits; exact for |x| < 2^22, which is all the callers need.
PF_INLINE V round_whole(V x) { return sub(add(x, set1(12582912.0f)), set1(12582912.0f)); }
// Outside, NaN included, nobody reads the result or x is NaN: any power that is defined.
PF_INLINE V scale_by_pow2(V x, V n) {
  V r;
  PF_LANES {
    const float whole = n.f[i] >= -126.0f && n.f[i] <= 127.0f ? n.f[i] : 0.0f;
    r.f[i] = x.f[i] * float_of(uint32_t(int32_t(whole) + 127) << 23);
  }
  return r;
}
PF_INLINE V split_exponent(V x, V* mantissa) {
  V e;
  PF_LANES {
    const uint32_t u = bits_of(x.f[i]);
    const int32_t n = int32_t(u - 0x3F3504F3u) >> 23;
    e.f[i] = float(n);
    mantissa->f[i] = float_of(u - (uint32_t(n) << 23));
  }
  return e;
}

PF_INLINE I iset1(uint32_t x) { return {{x, x, x, x}}; }
PF_INLINE I iload(const uint32_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
PF_INLINE I iadd(I a, I b) { I r; PF_LANES r.u[i] = a.u[i] + b.u[i]; return r; }
PF_INLINE I ixor3(I a, I b, I c) { I r; PF_LANES r.u[i] = a.u[i] ^ b.u[i] ^ c.u[i]; return r; }
PF_INLINE void imul_wide(I* hi, I* lo, I a, I b) {
  PF_LANES {
    const uint64_t p = uint64_t(a.u[i]) * b.u[i];
    hi->u[i] = uint32_t(p >> 32);
    lo->u[i] = uint32_t(p);
  }
}
PF_INLINE K ge_u(I a, I b) { K r; PF_LANES r.m[i] = a.u[i] >= b.u[i] ? ~0u : 0u; return r; }

PF_INLINE V round_bf16(V x) { V r; PF_LANES r.f[i] = bf16_round(x.f[i]); return r; }

PF_INLINE void transpose(V r[4]) {
  V t[4];
  PF_LANES for (int j = 0; j < 4; ++j) t[i].f[j] = r[j].f[i];
  PF_LANES r[i] = t[i];
}

PF_INLINE void interleave(V v[4]) { transpose(v); }  // with four lanes the same

#undef PF_LANES
