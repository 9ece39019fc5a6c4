// Tensor: a handle to contiguous, row-major memory with a shape and an element type, and, when it
// is part of a graph, the node that made it. Copying a Tensor copies the handle. Through a const
// Tensor nothing is written: a function that writes takes its result as `Tensor y`, by value, and
// what it reads as `const Tensor& x`. Activations are NHWC: (N, H, W, C).
#pragma once
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/core/dtype.h"
#include "tensor/core/random.h"
#include "tensor/core/shape.h"
#include "tensor/core/storage.h"

namespace passband {

class Node;

// What tensors are made from: arithmetic types and bf16.
template <class T>
concept Number = std::is_arithmetic_v<T> || std::is_same_v<T, bf16>;

// Numbers that lie side by side: a vector, an array, a span.
template <class C>
concept Numbers = requires(const C& c) {
  requires Number<std::remove_cvref_t<decltype(*std::data(c))>>;
  std::size(c);
};

class Tensor {
 public:
  // undefined: stands for "no tensor" (an absent bias, a gradient nobody needs)
  Tensor() = default;
  Tensor(std::shared_ptr<Storage> storage, int64_t byte_offset, Shape shape, DType dtype)
      : storage_(std::move(storage)), byte_offset_(byte_offset), shape_(shape), dtype_(dtype) {}

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                     Device device = {});
  // A tensor with these values, numbers of any type, converted to `dtype`. Throws when their count
  // does not fit the shape, or when an integer type has no such value.
  template <Numbers Values> static Tensor from(const Values& values, const Shape& shape,
                                               DType dtype = DType::f32, Device device = {}) {
    return converted(std::span(std::data(values), std::size(values)), shape, dtype, device);
  }
  template <Number T> static Tensor from(std::initializer_list<T> values, const Shape& shape,
                                         DType dtype = DType::f32, Device device = {}) {
    return converted(std::span(values.begin(), values.size()), shape, dtype, device);
  }
  static Tensor from(std::initializer_list<double> values, const Shape& shape,
                     DType dtype = DType::f32, Device device = {}) {
    return converted(std::span(values.begin(), values.size()), shape, dtype, device);
  }
  // Standard normal numbers, and numbers uniform in [low, high) before they are rounded to `dtype`,
  // a floating type. Element i is a function of (key, i) alone, on any device.
  static Tensor randn(const Shape& shape, const RandomKey& key, DType dtype = DType::f32,
                      Device device = {});
  static Tensor uniform(const Shape& shape, double low, double high, const RandomKey& key,
                        DType dtype = DType::f32, Device device = {});
  static Tensor empty_like(const Tensor& other) {
    return empty(other.shape_, other.dtype_, other.device());
  }
  static Tensor zeros_like(const Tensor& other) {
    return zeros(other.shape_, other.dtype_, other.device());
  }

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int dim) const { return shape_[dim]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_ ? storage_->device() : Device{}; }
  std::string describe() const;  // "f32[32, 784]@cpu"

  // The elements, in the memory of the device. Throws when T is not the element type.
  template <class T> T* data() {
    check_type(dtype_of<T>());
    return static_cast<T*>(raw());
  }
  template <class T> const T* data() const {
    check_type(dtype_of<T>());
    return static_cast<const T*>(raw());
  }
  // The same, null when the tensor is undefined.
  template <class T> T* data_or_null() { return defined() ? data<T>() : nullptr; }
  template <class T> const T* data_or_null() const { return defined() ? data<T>() : nullptr; }
  void* raw() { return storage_ ? storage_->data() + byte_offset_ : nullptr; }
  const void* raw() const { return storage_ ? storage_->data() + byte_offset_ : nullptr; }
  // All values as doubles, for tests, tables and figures.
  std::vector<double> values() const;
  // The only element of a one-element tensor.
  double item() const;
  // This tensor on `device`: itself when it is there already, else a copy, outside any graph.
  // Copies to the host wait for the device.
  Tensor to(Device device) const;
  // Overwrites the elements with those of `source` (same shape and type, any device).
  void copy_from(const Tensor& source);

  // A piece of `numel` elements starting at `element` of this tensor's memory, sharing it. Not
  // differentiable: it is how named parameters view the flat parameter vector.
  Tensor view(int64_t element, const Shape& shape) const;
  // The same memory under another shape, outside any graph. `reshape` in ops/shape.h is the
  // differentiable one.
  Tensor viewed_as(const Shape& shape) const;

  const std::shared_ptr<Storage>& storage() const { return storage_; }
  uint64_t version() const { return storage_ ? storage_->version() : 0; }
  void bump_version() { storage_->bump_version(); }
  bool shares_memory_with(const Tensor& other) const {
    return storage_ && storage_ == other.storage_;
  }
  // No other tensor looks at this memory: it may be overwritten.
  bool is_sole_owner() const { return storage_.use_count() == 1; }

  // --- graph ---
  const std::shared_ptr<Node>& node() const { return node_; }
  void set_node(std::shared_ptr<Node> node) { node_ = std::move(node); }
  bool tracked() const { return node_ != nullptr; }
  Tensor detach() const;
  // This tensor as a leaf of graphs: gradients with respect to it can be asked for.
  Tensor leaf() const;

 private:
  // Defined for every number type, in tensor.cpp.
  template <class T> static Tensor converted(std::span<const T> values, const Shape& shape,
                                             DType dtype, Device device);
  void check_type(DType asked) const;

  std::shared_ptr<Storage> storage_;
  int64_t byte_offset_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
  std::shared_ptr<Node> node_;
};

std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

// Kernel-private memory (saved statistics, bit masks). Not a Tensor on purpose: it has no
// operators, so it can not enter a differentiable formula as if it were a constant.
struct Buffer {
  Tensor memory;
};

}  // namespace passband
