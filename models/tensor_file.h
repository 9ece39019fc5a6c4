// TensorFile: an open file of named tensors, whatever its format.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace passband {

using Metadata = std::map<std::string, std::string>;
using NamedShapes = std::map<std::string, std::vector<int64_t>>;

class TensorFile {
 public:
  virtual ~TensorFile() = default;
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  const std::string& path() const { return path_; }
  const NamedShapes& shapes() const { return shapes_; }
  const Metadata& metadata() const { return metadata_; }
  // The elements in C order, converted to the floating type `target`. Throws DataError when there
  // is no such tensor or it holds no floating numbers.
  virtual Tensor read(const std::string& name, DType target) = 0;

 protected:
  explicit TensorFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  NamedShapes shapes_;
  Metadata metadata_;
};

// Opens a file of weights and checks what it claims. Throws DataError naming the file, what it is
// and what to do.
std::unique_ptr<TensorFile> open_tensor_file(const std::string& path);

}  // namespace passband
