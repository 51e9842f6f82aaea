// philox.h — Philox 4x32-10, the counter-based generator of every dropout mask; scalar form.
//
// The word of element e of (seed, step, site) is word e&3 of philox(counter = {e>>2 low, e>>34, step, site},
// key = {seed low, seed high}). It depends on nothing else, so a mask is never stored: backward makes it again, and
// the CPU, the GPU and any number of threads agree. The vector form is cpu/philox.inl. Check: ctest -R philox
// (known answers of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <cmath>
#include <cstdint>

namespace permafrost::kernels {

struct Philox4 {
  uint32_t word[4];
};

constexpr uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;  // multipliers
constexpr uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;  // key increments: golden ratio, sqrt(3)-1
constexpr int kPhiloxRounds = 10;

inline Philox4 philox4(Philox4 counter, uint32_t key0, uint32_t key1) {
  uint32_t* c = counter.word;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t(kPhiloxM0) * c[0];
    const uint64_t p1 = uint64_t(kPhiloxM1) * c[2];
    const uint32_t next[4] = {uint32_t(p1 >> 32) ^ c[1] ^ key0, uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key1, uint32_t(p0)};
    for (int i = 0; i < 4; ++i) c[i] = next[i];
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counter;
}

inline uint32_t philox_word(uint64_t seed, uint32_t step, uint32_t site, uint64_t element) {
  const Philox4 counter{{uint32_t(element >> 2), uint32_t(element >> 34), step, site}};
  return philox4(counter, uint32_t(seed), uint32_t(seed >> 32)).word[element & 3];
}

// Keep an element iff its word >= this. p·2^32 need not be whole: rounded up, as "word >= p·2^32" asks.
inline uint32_t dropout_threshold(float p) { return uint32_t(std::ceil(double(p) * 4294967296.0)); }

// What kept elements are multiplied by.
inline double dropout_scale(float p) { return 1.0 / (1.0 - double(p)); }

}  // namespace permafrost::kernels
