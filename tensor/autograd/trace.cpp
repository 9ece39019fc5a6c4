#include "tensor/autograd/trace.h"

#include <utility>

namespace passband {
namespace {

thread_local Listener* listener_here = nullptr;

}  // namespace

ListenGuard::ListenGuard(Listener listener)
    : own_(std::move(listener)), restore_(std::exchange(listener_here, &own_)) {}
ListenGuard::~ListenGuard() { listener_here = restore_; }

bool listening() { return listener_here != nullptr; }

void tell(HeardOperation heard) { (*listener_here)(std::move(heard)); }

void tell(const char* name, Attributes attributes, std::span<const Tensor* const> inputs,
          const Tensor& output) {
  HeardOperation heard{.name = name, .attributes = std::move(attributes), .output = output};
  for (const Tensor* input : inputs) heard.inputs.push_back(*input);
  tell(std::move(heard));
}

}  // namespace passband
