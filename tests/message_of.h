// What an error says: message_of([&] { matmul(a, b); }), or message_of<UsageError>(...).
#pragma once
#include <string>

#include "tensor/core/error.h"

namespace passband {

template <class E = Error> std::string message_of(const auto& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace passband
