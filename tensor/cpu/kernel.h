// Kernels that exist once for each level of instructions, called at the level in use.
#pragma once
#include <type_traits>
#include <utility>

#include "tensor/cpu/level.h"
#include "tensor/cpu/level_code.h"

// Declares the function of each level, and cpu::name, which calls the one of the level in use:
//   PASSBAND_CPU_KERNEL(softmax_forward, void(Tensor y, const Tensor& x));
// stands in the namespace passband::cpu; sources write CPU_KERNEL. In the code of a level, the
// plain name is the function of that level.
#define PASSBAND_CPU_KERNEL(name, ...)                             \
  PASSBAND_AT_EVERY_LEVEL(std::type_identity_t<__VA_ARGS__> name;) \
  inline constexpr ::passband::cpu::Kernel<__VA_ARGS__> name { PASSBAND_OF_EVERY_LEVEL(name) }

// The same for templates, by hand: declarations, and the function of the level in use.
//   PASSBAND_AT_EVERY_LEVEL(template <class F> void map(Tensor y, const Tensor& x, const F& f);)
//   template <class F> void map(Tensor y, const Tensor& x, const F& f) {
//     Kernel<void(Tensor, const Tensor&, const F&)>{PASSBAND_OF_EVERY_LEVEL(map<F>)}(y, x, f);
//   }
#define PASSBAND_AT_EVERY_LEVEL(...)            \
  namespace generic {                           \
  __VA_ARGS__                                   \
  }                                             \
  PASSBAND_IF_AVX2(namespace avx2{__VA_ARGS__}) \
  PASSBAND_IF_AVX512(namespace avx512{__VA_ARGS__})
#define PASSBAND_OF_EVERY_LEVEL(...)                           \
  &generic::__VA_ARGS__ PASSBAND_IF_AVX2(, &avx2::__VA_ARGS__) \
      PASSBAND_IF_AVX512(, &avx512::__VA_ARGS__)

#define PASSBAND_THIS(...) __VA_ARGS__
#define PASSBAND_NOTHING(...)
#if PASSBAND_LEVELS > 1
#define PASSBAND_IF_AVX2 PASSBAND_THIS
#else
#define PASSBAND_IF_AVX2 PASSBAND_NOTHING
#endif
#if PASSBAND_LEVELS > 2
#define PASSBAND_IF_AVX512 PASSBAND_THIS
#else
#define PASSBAND_IF_AVX512 PASSBAND_NOTHING
#endif

namespace passband::cpu {

template <class Signature> class Kernel;

template <class Result, class... Arguments> class Kernel<Result(Arguments...)> {
 public:
  template <class... Functions> constexpr explicit Kernel(Functions*... functions)
      : of_level_{functions...} {}
  // Takes what the functions take, lists in braces too.
  Result operator()(Arguments... arguments) const {
    return of_level_[compiled_level()](std::forward<Arguments>(arguments)...);
  }

 private:
  Result (*of_level_[PASSBAND_LEVELS])(Arguments...);
};

}  // namespace passband::cpu
