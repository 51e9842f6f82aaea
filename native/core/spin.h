// spin.h — waiting for another thread for a moment, without giving up the core.
#pragma once

#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(_M_ARM64)
#include <intrin.h>
#endif

namespace permafrost {

// About 30 µs at 40–140 cycles a pause: longer than the gap between two ops, far shorter than a scheduler's slice.
constexpr int kSpins = 2000;

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(_M_ARM64)
  __isb(_ARM64_BARRIER_SY);
#elif defined(__aarch64__)
  asm volatile("isb");  // some tens of cycles, where `yield` is one (rust-lang/rust#84725)
#endif
}

// Until done(), which somebody who is running will soon make true. Yields after a while, for machines with fewer free cores
// than threads.
template <class Done>
void spin_until(Done done) {
  for (int spin = 0; !done(); ++spin) {
    if (spin < kSpins) pause();
    else std::this_thread::yield();
  }
}

}  // namespace permafrost
