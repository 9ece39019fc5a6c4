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

}  // namespace passband
