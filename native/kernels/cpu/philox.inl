// philox.inl — Philox 4x32-10 on vectors and the keep masks made of it. Included once for each instruction set.
//
// The words are those of ../philox.h. A vector holds the same word of kLanes consecutive counters, so four vectors become
// the factors of 4·kLanes consecutive elements once they are interleaved. Check: tests/native/test_philox.cc compares masks
// with the scalar form. Time: bench/kernels/rows, the lines with dropout.

struct Keep {
  uint32_t key0, key1, step, site, threshold;
  float scale;
};

static Keep make_keep(const Dropout& d) {
  return {uint32_t(d.seed), uint32_t(d.seed >> 32), d.step, d.site, dropout_threshold(d.p), float(dropout_scale(d.p))};
}

constexpr int kPhiloxBlock = 4 * kLanes;  // elements of one call

// Factors, 0 or scale, of elements 4·counter .. 4·counter + kPhiloxBlock.
static void philox_block(float* factor, const Keep& keep, uint64_t counter) {
  uint32_t low[kLanes], high[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    low[i] = uint32_t(counter + uint64_t(i));
    high[i] = uint32_t((counter + uint64_t(i)) >> 32);
  }
  I c0 = iload(low), c1 = iload(high), c2 = iset1(keep.step), c3 = iset1(keep.site);
  const I m0 = iset1(kPhiloxM0), m1 = iset1(kPhiloxM1);
  uint32_t key0 = keep.key0, key1 = keep.key1;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    I hi0, lo0, hi1, lo1;
    imul_wide(&hi0, &lo0, c0, m0);
    imul_wide(&hi1, &lo1, c2, m1);
    c0 = ixor3(hi1, c1, iset1(key0));
    c1 = lo1;
    c2 = ixor3(hi0, c3, iset1(key1));
    c3 = lo0;
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  const I threshold = iset1(keep.threshold);
  const V scale = set1(keep.scale);
  V f[4] = {only(ge_u(c0, threshold), scale), only(ge_u(c1, threshold), scale), only(ge_u(c2, threshold), scale),
            only(ge_u(c3, threshold), scale)};
  interleave(f);
  PF_UNROLL
  for (int i = 0; i < 4; ++i) store(factor + i * kLanes, f[i]);
}

// factor[i] = 0 or scale for elements e .. e+n. `factor` has room for n + 2·kPhiloxBlock floats; returns where element e is.
static const float* dropout_factors(float* factor, const Keep& keep, uint64_t e, int n) {
  const int lead = int(e & 3);
  for (int i = 0; i < lead + n; i += kPhiloxBlock) philox_block(factor + i, keep, (e >> 2) + uint64_t(i / 4));
  return factor + lead;
}
