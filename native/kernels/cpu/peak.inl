// peak.inl — the ceiling of arithmetic: independent chains of multiply-adds that never leave the registers.

// Registers, less the two factors: 32 of them with AVX-512 and NEON, 16 on other x86.
constexpr int kChains = kLanes == 16 || !PERMAFROST_X86 ? 24 : 12;

template <Mac kMac>
static double run_chains(int turns) {
  V chain[kChains];
  // Never seen at compile time, or a compiler drops the multiplication by one.
  const V x = set1(turns < 0 ? 2.0f : 1.0f), y = set1(1e-9f);
  PF_UNROLL
  for (int i = 0; i < kChains; ++i) chain[i] = set1(float(i) * 1e-9f);
  for (int t = 0; t < turns; ++t) {
    PF_UNROLL
    for (int i = 0; i < kChains; ++i) chain[i] = kMac == Mac::pairs ? mac<kMac>(chain[i], x, y) : fma(chain[i], x, y);
  }
  V sum = chain[0];
  for (int i = 1; i < kChains; ++i) sum = add(sum, chain[i]);
  volatile float wanted = sum_lanes(sum);
  (void)wanted;
  return double(turns) * kChains * kLanes * (kMac == Mac::pairs ? 4 : 2);
}

static double register_chains(int turns, Precision precision) {
  return precision == Precision::bf16 && kBf16Factor == Factor::pairs ? run_chains<Mac::pairs>(turns) : run_chains<Mac::f32>(turns);
}
