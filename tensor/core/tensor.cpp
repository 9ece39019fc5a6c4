#include "tensor/core/tensor.h"

#include <cstring>

#include "tensor/autograd/node.h"

namespace passband {
namespace {

// Calls f.template operator()<T>() for any element type.
template <class F> decltype(auto) dispatch_any(DType dtype, F&& f) {
  if (dtype == DType::i32) return f.template operator()<int32_t>();
  if (dtype == DType::u8) return f.template operator()<uint8_t>();
  return dispatch_floating(dtype, "tensor", f);
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  return {std::make_shared<Storage>(shape.numel() * size_of(dtype), device), 0, shape, dtype};
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  std::memset(result.raw(), 0, static_cast<size_t>(result.numel() * size_of(dtype)));
  return result;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  dispatch_any(dtype, [&]<class T>() { std::fill_n(result.data<T>(), result.numel(), static_cast<T>(value)); });
  return result;
}

Tensor Tensor::from(const std::vector<double>& values, const Shape& shape, DType dtype) {
  CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "tensor: ", values.size(), " values do not fill ", shape);
  Tensor result = empty(shape, dtype);
  dispatch_any(dtype, [&]<class T>() {
    std::ranges::transform(values, result.data<T>(), [](double value) { return static_cast<T>(value); });
  });
  return result;
}

std::string Tensor::describe() const {
  if (!defined()) return "undefined";
  return concat_text(name_of(dtype_), shape_, "@", device().str());
}

std::vector<double> Tensor::values() const {
  CHECK(defined(), "values: the tensor is undefined");
  std::vector<double> result(static_cast<size_t>(numel()));
  dispatch_any(dtype_, [&]<class T>() {
    std::transform(data<T>(), data<T>() + numel(), result.begin(), [](T value) { return static_cast<double>(value); });
  });
  return result;
}

double Tensor::item() const {
  CHECK(defined() && numel() == 1, "item: needs one element, the tensor is ", describe());
  return values().front();
}

Tensor Tensor::view(int64_t element, const Shape& shape) const {
  CHECK(element >= 0 && element + shape.numel() <= numel(), "view: elements ", element, " to ",
        element + shape.numel(), " are outside ", describe());
  return {storage_, byte_offset_ + element * size_of(dtype_), shape, dtype_};
}

Tensor Tensor::viewed_as(const Shape& shape) const {
  CHECK(shape.numel() == numel(), "reshape: ", describe(), " has ", numel(), " elements, ", shape, " needs ",
        shape.numel());
  return {storage_, byte_offset_, shape, dtype_};
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.node_ = nullptr;
  return result;
}

Tensor Tensor::leaf() const {
  CHECK(defined() && is_floating(dtype_), "leaf: only a floating-point tensor has gradients, not ", describe());
  Tensor result = *this;
  result.node_ = std::make_shared<Leaf>();
  return result;
}

void Tensor::check_type(DType asked) const {
  CHECK(defined(), "data: the tensor is undefined");
  CHECK(asked == dtype_, "data: asked for ", name_of(asked), " elements of ", describe());
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << tensor.describe(); }

}  // namespace passband
