// WeightFitting: the tensors of a file as a model needs them, all of them checked before any is
// read.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/weight_names.h"
#include "models/weights.h"

namespace passband {

class WeightFitting {
 public:
  // `expected`: shapes in the file's layouts by name. Throws DataError naming the file and the
  // first tensor that is missing, unknown or of a shape that does not fit, the rule, and the way
  // out.
  WeightFitting(TensorFile& file, NamedShapes expected, const FitOptions& options);

  // In the file's layout, of the expected shape; nothing where the model keeps what it has.
  std::optional<Tensor> read(const std::string& name, DType dtype);
  const std::string& prefix() const { return found_.prefix; }
  // What is left out, replaced or resampled.
  std::vector<std::string> notes() const;

 private:
  [[noreturn]] void fail(const std::string& why) const;
  void check_expected(const std::string& name, const std::vector<int64_t>& shape);
  void check_unknown(const std::string& name) const;
  bool keeps_head(const std::string& name, const FoundTensor* tensor) const;
  Tensor whole(const FoundTensor& tensor, DType dtype);
  void check_finite(const std::string& name, const Tensor& tensor) const;
  Tensor resampled(const std::string& name, const Tensor& tensor) const;
  Tensor resampled_table(const std::string& name, const Tensor& tensor) const;
  bool fits_resampled(const std::string& name, const std::vector<int64_t>& in_file,
                      const std::vector<int64_t>& wanted);

  TensorFile& file_;
  NamedShapes expected_;
  FitOptions options_;
  FoundTensors found_;
  std::set<std::string> kept_, passed_over_;  // of the model; of the file
  std::map<std::string, int64_t> resampled_;  // "from ... to ..." and how many
  std::string patch_;                         // "from ... to ..." of the patch embedding
  std::set<std::string> begin_at_zero_;       // biases of the model that the file lacks
  int64_t biases_left_out_ = 0;               // of the file, that the model lacks
};

}  // namespace passband
