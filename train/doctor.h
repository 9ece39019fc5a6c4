// The findings of `train --doctor`: what of this machine Passband uses, what is missing, and what
// to do about it.
#pragma once
#include <string>
#include <vector>

namespace passband {

struct Finding {
  std::string topic;   // "processor", "driver", "GPU", "data", ...
  std::string found;   // one line
  std::string advice;  // what to do about it; empty when nothing is to be done
};

// Opens no device but through the CUDA backend of this build, reads no data.
std::vector<Finding> examine();
void print_examination(const std::vector<Finding>& findings, bool json);

// As the kernel calls it; "unknown" where it does not say.
std::string processor_name();

}  // namespace passband
