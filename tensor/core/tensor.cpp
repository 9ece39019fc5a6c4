#include "tensor/core/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/core/memory.h"
#include "tensor/core/parallel.h"

namespace passband {
namespace {

int64_t bytes_of(const Tensor& tensor) { return tensor.numel() * size_of(tensor.dtype()); }

// The bits of a value in the low bytes.
template <class T> uint64_t pattern_of(T value) {
  uint64_t pattern = 0;
  std::memcpy(&pattern, &value, sizeof value);
  return pattern;
}

// A number as an element of a tensor. What an integer type can not hold, fractions and NaN too, is
// an error.
template <class T, class From> T element_from(From value) {
  if constexpr (std::is_integral_v<T>) {
    const auto number = static_cast<double>(value);
    const auto lowest = static_cast<double>(std::numeric_limits<T>::lowest()),
               highest = static_cast<double>(std::numeric_limits<T>::max());
    CHECK(number >= lowest && number <= highest && number == std::trunc(number), "tensor: ", number,
          " is no value of ", name_of(dtype_of<T>()));
    return static_cast<T>(number);
  } else {
    return static_cast<T>(value);
  }
}

// A tensor on the host whose element i is draw(i).
template <class Draw> Tensor drawn(const char* op, const Shape& shape, DType dtype, Draw&& draw) {
  Tensor result = Tensor::empty(shape, dtype);
  dispatch_floating(dtype, op, [&]<class T>() {
    T* const out = result.data<T>();
    const int64_t count = result.numel();
    parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(draw(static_cast<uint64_t>(i)));
    });
  });
  return result;
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  return {std::make_shared<Storage>(shape.numel() * size_of(dtype), device), 0, shape, dtype};
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  ON_DEVICE(device, clear_bytes, result.raw(), bytes_of(result));
  return result;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  dispatch_any(dtype, [&]<class T>() {
    ON_DEVICE(device, fill_elements, result.raw(), pattern_of(static_cast<T>(value)), sizeof(T),
              result.numel());
  });
  return result;
}

template <class From> Tensor Tensor::converted(std::span<const From> values, const Shape& shape,
                                               DType dtype, Device device) {
  CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "tensor: ", values.size(),
        " values do not fill ", shape);
  Tensor result = empty(shape, dtype);
  dispatch_any(dtype, [&]<class T>() {
    std::ranges::transform(values, result.data<T>(), element_from<T, From>);
  });
  return result.to(device);
}

template Tensor Tensor::converted(std::span<const bool>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const char>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const signed char>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const unsigned char>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const short>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const unsigned short>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const int>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const unsigned>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const long>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const unsigned long>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const long long>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const unsigned long long>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const float>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const double>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const long double>, const Shape&, DType, Device);
template Tensor Tensor::converted(std::span<const bf16>, const Shape&, DType, Device);

Tensor Tensor::randn(const Shape& shape, const RandomKey& key, DType dtype, Device device) {
  return drawn("randn", shape, dtype, [&](uint64_t i) { return double{random_normal(key, i)}; })
      .to(device);
}

Tensor Tensor::uniform(const Shape& shape, double low, double high, const RandomKey& key,
                       DType dtype, Device device) {
  const auto draw = [&](uint64_t i) { return low + (high - low) * double{random_uniform(key, i)}; };
  return drawn("uniform", shape, dtype, draw).to(device);
}

std::string Tensor::describe() const {
  if (!defined()) return "undefined";
  return concat_text(name_of(dtype_), shape_, "@", device().str());
}

std::vector<double> Tensor::values() const {
  CHECK(defined(), "values: the tensor is undefined");
  const Tensor host = to({});
  std::vector<double> result(static_cast<size_t>(numel()));
  dispatch_any(dtype_, [&]<class T>() {
    const T* const first = host.data<T>();
    std::transform(first, first + numel(), result.begin(),
                   [](T value) { return static_cast<double>(value); });
  });
  return result;
}

double Tensor::item() const {
  CHECK(defined() && numel() == 1, "item: needs one element, the tensor is ", describe());
  return values().front();
}

Tensor Tensor::to(Device device) const {
  if (!defined() || device == this->device()) return *this;
  Tensor result = empty(shape_, dtype_, device);
  result.copy_from(*this);
  return result;
}

void Tensor::copy_from(const Tensor& source) {
  CHECK(defined() && source.defined() && source.shape_ == shape_ && source.dtype_ == dtype_,
        "copy_from: ", *this, " can not take ", source);
  const Device to = device(), from = source.device();
  ON_DEVICE((to.is_cuda() ? to : from), copy_bytes, raw(), to, source.raw(), from, bytes_of(*this));
}

Tensor Tensor::view(int64_t element, const Shape& shape) const {
  CHECK(element >= 0 && element + shape.numel() <= numel(), "view: elements ", element, " to ",
        element + shape.numel(), " are outside ", describe());
  return {storage_, byte_offset_ + element * size_of(dtype_), shape, dtype_};
}

Tensor Tensor::viewed_as(const Shape& shape) const {
  CHECK(shape.numel() == numel(), "reshape: ", describe(), " has ", numel(), " elements, ", shape,
        " needs ", shape.numel());
  return {storage_, byte_offset_, shape, dtype_};
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.node_ = nullptr;
  return result;
}

void Tensor::check_type(DType asked) const {
  CHECK(defined(), "data: the tensor is undefined");
  CHECK(asked == dtype_, "data: asked for ", name_of(asked), " elements of ", describe());
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << tensor.describe();
}

}  // namespace passband
