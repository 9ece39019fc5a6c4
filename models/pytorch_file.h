// PytorchFile: tensors that torch.save wrote (.pth, .pt, .bin, .th), as a zip archive or in the
// older form, one pickle after another. A pickle is a program for Python's unpickler; here nothing
// is ever executed: it is read as the values it names, and everything but tensors, containers and
// plain data is refused by name.
#pragma once
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "data/pickle.h"
#include "models/tensor_file.h"

namespace passband {

class PytorchFile final : public TensorFile {
 public:
  // Throws DataError naming the file, and the class or the tensor that is not read here.
  explicit PytorchFile(const std::string& path);
  Tensor read(const std::string& name, DType target) override;

 private:
  // A run of elements that tensors are views of.
  struct Storage {
    uint64_t begin = 0, bytes = 0;  // in the file
    bool placed = false;
  };
  struct View {
    std::string dtype, storage;
    int64_t offset = 0;  // in elements
    std::vector<int64_t> shape, strides;
  };

  [[noreturn]] void fail(const std::string& why) const;
  std::string bytes_at(uint64_t begin, uint64_t size);
  Pickled unpickle(std::span<const uint8_t> bytes, size_t* length = nullptr) const;
  void read_archive();
  void read_older_form();
  // The older form: storages in the order of these keys from `at` on, of elements of these widths.
  void place_storages(const PickleValue& keys, const std::map<std::string, int64_t>& widths,
                      uint64_t at);
  void add_tensors(const PickleValue& root);
  View view_of(const PickleValue& value, const std::string& name) const;
  std::string type_of_storage(const PickleValue& type, const std::string& name) const;
  void check_view(const View& view, const std::string& name) const;

  std::ifstream file_;
  uint64_t size_ = 0;
  std::map<std::string, Storage> storages_;
  std::map<std::string, View> views_;
};

}  // namespace passband
