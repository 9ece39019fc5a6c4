#include "tensor/core/error.h"

namespace passband {
namespace {
thread_local std::string scope_path;
}

const std::string& current_scope() { return scope_path; }

ScopeGuard::ScopeGuard(std::string_view name) : restore_(scope_path.size()) {
  if (name.empty()) return;
  if (!scope_path.empty()) scope_path += '.';
  scope_path += name;
}

ScopeGuard::~ScopeGuard() { scope_path.resize(restore_); }

std::string with_scope(std::string message) {
  if (!scope_path.empty()) message += "\n  in " + scope_path;
  return message;
}

}  // namespace passband
