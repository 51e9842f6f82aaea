// registry.cc — find_kernels: which table runs on this machine.
//
// "auto" takes the first of avx512, avx2, portable that the processor and the system can run; the environment variable
// PERMAFROST_ISA names another (avx512, avx2, portable, ref), for tests and for telling a kernel's bug from a model's.
// An unknown name, or one that cannot run here, is null: never quietly something else.
#include <cstdlib>
#include <cstring>

#include "cpu/isa.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "ref/table.h"

namespace permafrost::kernels {

namespace {

const KernelTable* best() {
#if PERMAFROST_X86
  if (features().avx512) return &avx512_table(features().avx512_bf16);
  if (features().avx2) return &avx2_table();
#endif
  return &portable_table();
}

}  // namespace

const KernelTable* find_kernels(const char* name) {
  if (!name) return nullptr;
  const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("auto")) {
    const char* forced = std::getenv("PERMAFROST_ISA");
    return forced && *forced && std::strcmp(forced, "auto") != 0 ? find_kernels(forced) : best();
  }
  if (is("ref")) return &ref_table();
  if (is("portable")) return &portable_table();
#if PERMAFROST_X86
  if (is("avx2") && features().avx2) return &avx2_table();
  if (is("avx512") && features().avx512) return &avx512_table(features().avx512_bf16);
#endif
  return nullptr;
}

bool has_bf16_instructions() { return features().avx512_bf16; }

}  // namespace permafrost::kernels
