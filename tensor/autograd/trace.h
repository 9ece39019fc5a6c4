// Hearing operations: whoever listens is told each operation of this thread when it is done, with
// its operands and its result. What has run can so be written down, drawn, or run elsewhere.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

// What an operation was told besides its operands: numbers ("stride", {2, 2}) or a tensor that has
// no gradient ("indices").
struct Attribute {
  const char* name;
  std::vector<double> numbers = {};
  Tensor tensor = {};
};
using Attributes = std::vector<Attribute>;

struct HeardOperation {
  const char* name;
  Attributes attributes;
  std::vector<Tensor> inputs;  // an absent one is undefined
  Tensor output;
};

using Listener = std::function<void(HeardOperation)>;

// Tells `listener` of the operations of this thread for a scope. An operation that others make up
// is told after them, with the same result. Nothing is told of what writes in place.
class ListenGuard {
 public:
  explicit ListenGuard(Listener listener);
  ~ListenGuard();
  ListenGuard(const ListenGuard&) = delete;
  ListenGuard& operator=(const ListenGuard&) = delete;

 private:
  Listener own_;
  Listener* restore_;
};

bool listening();
// Tells the listener; call it where listening() only.
void tell(HeardOperation heard);
void tell(const char* name, Attributes attributes, std::span<const Tensor* const> inputs,
          const Tensor& output);

// An operation says what it was told by a member `Attributes attributes() const`.
template <class Op> Attributes attributes_of(const Op& op) {
  if constexpr (requires { op.attributes(); }) return op.attributes();
  else return {};
}

}  // namespace passband
