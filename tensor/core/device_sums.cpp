#include "tensor/core/device_sums.h"

#include <dlfcn.h>

#include <filesystem>

#include "tensor/core/program_module.h"

namespace passband {
namespace {

struct NcclModule {
  DeviceSumsModule functions{};
  std::string why;
};

NcclModule open_nccl_module() {
  NcclModule opened;
  const std::filesystem::path file = find_program_module("passband_nccl.so");
  if (file.empty()) {
    opened.why = "this build has no module for NCCL; install libnccl-dev and build again";
    return opened;
  }
  void* const module = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) {
    opened.why = file.string() + " does not load (" + dlerror() + ")";
    return opened;
  }
  const auto find = [&]<class F>(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(module, name));
  };
  find(opened.functions.make_id, kMakeIdFunction);
  find(opened.functions.join, kJoinDevicesFunction);
  find(opened.functions.library, kNcclLibraryFunction);
  return opened;
}

}  // namespace

const DeviceSumsModule* nccl_module(std::string& why) {
  static const NcclModule opened = open_nccl_module();
  why = opened.why;
  return why.empty() ? &opened.functions : nullptr;
}

}  // namespace passband
