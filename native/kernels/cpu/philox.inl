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

constexpr int kPhiloxBlock = 4 * kLanes;  // elements of one vector of counters

// The counters from `counter` on, low and high words. The high one is the same for all: a row of attention begins at a multiple of
// 2^14 counters and has fewer, and no other op has 2^34 elements, which are 64 GiB.
PF_INLINE void counters(I* low, I* high, uint64_t counter) {
  static const uint32_t kCount[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  static_assert(kLanes <= 16);
  *low = iadd(iset1(uint32_t(counter)), iload(kCount));
  *high = iset1(uint32_t(counter >> 32));
}

struct RoundKeys {
  I key[kPhiloxRounds][2];
  explicit RoundKeys(const Keep& keep) {
    for (uint32_t round = 0; round < kPhiloxRounds; ++round) {
      key[round][0] = iset1(keep.key0 + round * kPhiloxW0);
      key[round][1] = iset1(keep.key1 + round * kPhiloxW1);
    }
  }
};

// Factors, 0 or scale, of kBlocks·kPhiloxBlock elements from 4·counter on. Two blocks at once hide each other's latency: a round
// is one chain.
template <int kBlocks>
PF_INLINE void philox_blocks(float* factor, const Keep& keep, const RoundKeys& keys, uint64_t counter) {
  I c[kBlocks][4];
  PF_UNROLL
  for (int b = 0; b < kBlocks; ++b) {
    counters(&c[b][0], &c[b][1], counter + uint64_t(b * kLanes));
    c[b][2] = iset1(keep.step);
    c[b][3] = iset1(keep.site);
  }
  const I m0 = iset1(kPhiloxM0), m1 = iset1(kPhiloxM1);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    PF_UNROLL
    for (int b = 0; b < kBlocks; ++b) {
      I hi0, lo0, hi1, lo1;
      imul_wide(&hi0, &lo0, c[b][0], m0);
      imul_wide(&hi1, &lo1, c[b][2], m1);
      c[b][0] = ixor3(hi1, c[b][1], keys.key[round][0]);
      c[b][1] = lo1;
      c[b][2] = ixor3(hi0, c[b][3], keys.key[round][1]);
      c[b][3] = lo0;
    }
  }
  const I threshold = iset1(keep.threshold);
  const V scale = set1(keep.scale);
  PF_UNROLL
  for (int b = 0; b < kBlocks; ++b) {
    V f[4];
    PF_UNROLL
    for (int i = 0; i < 4; ++i) f[i] = only(ge_u(c[b][i], threshold), scale);
    interleave(f);
    PF_UNROLL
    for (int i = 0; i < 4; ++i) store(factor + b * kPhiloxBlock + i * kLanes, f[i]);
  }
}

// factor[i] = 0 or scale for elements e .. e+n. `factor` has room for n + 2·kPhiloxBlock floats; returns where element e is.
static const float* dropout_factors(float* factor, const Keep& keep, uint64_t e, int n) {
  const int lead = int(e & 3), end = lead + n;
  const RoundKeys keys(keep);
  int i = 0;
  for (; i + kPhiloxBlock < end; i += 2 * kPhiloxBlock) philox_blocks<2>(factor + i, keep, keys, (e >> 2) + uint64_t(i / 4));
  if (i < end) philox_blocks<1>(factor + i, keep, keys, (e >> 2) + uint64_t(i / 4));
  return factor + lead;
}
