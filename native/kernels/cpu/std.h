// std.h — every header that the kernels of this folder need, included before the instruction set is turned on.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <type_traits>

#include "../../core/spin.h"
#include "../../core/thread_pool.h"
#include "../bf16.h"
#include "../kernels.h"
#include "../philox.h"
#include "isa.h"
#include "simd.h"

// GCC 12 warns about the deliberately undefined operands inside its own AVX-512 headers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
