// The context of this thread and the random keys made from it.
#include "nn/context.h"

#include "tensor/core/error.h"

namespace passband {
namespace {
thread_local Context current;
}

const Context& context() { return current; }

ContextGuard::ContextGuard(const Context& context) : restore_(current) { current = context; }
ContextGuard::~ContextGuard() { current = restore_; }

RandomKey random_key(std::string_view what) {
  return {current.seed, current.step, site_of(concat_text(current_scope(), '.', what))};
}

}  // namespace passband
