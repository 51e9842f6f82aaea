// target_begin_avx512.h — functions from here to target_end.h may use these instructions. MSVC needs no permission.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#if !defined(PERMAFROST_EMULATE_AVX512)  // tests/native/avx512_emulated.h
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi2")
#endif
#endif
