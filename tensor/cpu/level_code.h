// How code is compiled once for each level of instructions, into one program. What stands between
// PASSBAND_LEVEL_BEGIN and PASSBAND_LEVEL_END (in sources, LEVEL_BEGIN and LEVEL_END) is in the
// namespace passband::cpu::avx2, say, and compiled for AVX2. All else, headers above all, is
// compiled for every machine even in a source of that level: the linker keeps one of many copies of
// an inline function, and it must run anywhere.
//
// The build compiles each source that has LEVEL_BEGIN with PASSBAND_LEVEL as 0, 1, ...
// (PASSBAND_LEVELS of them). Other sources, as tests, get the vectors of the compiler's own flags.
// What a level above these adds, products of bf16 numbers, is for the few kernels that make them:
// they ask for it (level.h).
//
// A function that is given or returns vectors by value belongs into the level's code: outside it,
// the compiler passes them in another way, and warns (-Wpsabi). So reinterpret_cast stands for
// std::bit_cast, and a lambda that takes vectors begins with [&] or [=]: a bare [] would make a
// plain function of it, too.
#pragma once

#ifndef PASSBAND_LEVELS
#define PASSBAND_LEVELS 1
#endif

#if !defined(PASSBAND_LEVEL)
#define PASSBAND_LEVEL_NAME standalone
#elif PASSBAND_LEVEL == 0
#define PASSBAND_LEVEL_NAME generic
#elif PASSBAND_LEVEL == 1
#define PASSBAND_LEVEL_NAME avx2
#define PASSBAND_LEVEL_TARGET "avx2,fma,bmi,bmi2"
#elif PASSBAND_LEVEL == 2
#define PASSBAND_LEVEL_NAME avx512
#define PASSBAND_LEVEL_TARGET "avx2,fma,bmi,bmi2,avx512f,avx512vl,avx512bw,avx512dq,avx512cd"
#endif

// The compiler's own macros tell what its flags allow, not what a level does. These do: the bytes
// of a register, and whether a * b + c is one instruction.
#if PASSBAND_LEVEL + 0 >= 2 || defined(__AVX512F__)
#define PASSBAND_VECTOR_BYTES 64
#elif PASSBAND_LEVEL + 0 >= 1 || defined(__AVX__)
#define PASSBAND_VECTOR_BYTES 32
#else
#define PASSBAND_VECTOR_BYTES 16
#endif

#if PASSBAND_LEVEL + 0 >= 1 || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define PASSBAND_FMA 1
#else
#define PASSBAND_FMA 0
#endif

#define PASSBAND_PRAGMA(text) _Pragma(#text)
#if !defined(PASSBAND_LEVEL_TARGET)
#define PASSBAND_TARGET_BEGIN
#define PASSBAND_TARGET_END
#elif defined(__clang__)
#define PASSBAND_TARGET_PRAGMA(features) \
  PASSBAND_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define PASSBAND_TARGET_BEGIN PASSBAND_TARGET_PRAGMA(PASSBAND_LEVEL_TARGET)
#define PASSBAND_TARGET_END _Pragma("clang attribute pop")
#else
#define PASSBAND_TARGET_PRAGMA(features) PASSBAND_PRAGMA(GCC target(features))
#define PASSBAND_TARGET_BEGIN \
  _Pragma("GCC push_options") PASSBAND_TARGET_PRAGMA(PASSBAND_LEVEL_TARGET)
#define PASSBAND_TARGET_END _Pragma("GCC pop_options")
#endif

#define PASSBAND_LEVEL_BEGIN PASSBAND_TARGET_BEGIN namespace passband::cpu::PASSBAND_LEVEL_NAME {
#define PASSBAND_LEVEL_END \
  }                        \
  PASSBAND_TARGET_END
