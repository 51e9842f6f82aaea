// ref/table.h — the table "ref" for registry.cc. Everybody else asks find_kernels.
#pragma once

#include "../kernels.h"

namespace permafrost::kernels {

const KernelTable& ref_table();

}  // namespace permafrost::kernels
