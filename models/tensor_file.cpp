#include "models/tensor_file.h"

#include "models/pytorch_file.h"
#include "models/safetensors.h"
#include "tensor/core/file_kind.h"

namespace passband {

std::unique_ptr<TensorFile> open_tensor_file(const std::string& path) {
  if (file_kind(file_head(path)) == FileKind::pytorch) return std::make_unique<PytorchFile>(path);
  return std::make_unique<SafetensorsFile>(path);
}

}  // namespace passband
