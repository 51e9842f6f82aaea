// isa.h — what isa_<name>.cc define for registry.cc: a table for each instruction set. A table may be asked for only when
// features() says that the machine runs it. On other architectures the x86 files compile to nothing.
#pragma once

#include "../kernels.h"

namespace permafrost::kernels {

struct Features {
  bool avx2 = false;         // AVX2, FMA and BMI2
  bool avx512 = false;       // F, BW, VL, DQ
  bool avx512_bf16 = false;  // the bf16 dot product
};
const Features& features();

const KernelTable& portable_table();
const KernelTable& avx2_table();
const KernelTable& avx512_table(bool bf16);  // bf16: with the dot product

}  // namespace permafrost::kernels
