// A model's parameters and buffers to a safetensors file and back: names, layouts, and all or
// nothing.
#include "models/weights.h"

#include <algorithm>
#include <cstring>

#include "models/safetensors.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

// PyTorch counts the batches a batch norm has seen; nothing here reads it.
constexpr std::string_view kBatchCounter = "num_batches_tracked";

// Between memory and file every layout is a transpose of `rows` x `columns` matrices, `count` times
// over.
struct Transpose {
  int64_t count, rows, columns;  // of the memory side
};

Transpose transpose_of(const Parameter& p) {
  if (p.layout == Layout::conv) return {p.shape[0], p.shape[1] * p.shape[2], p.shape[3]};
  if (p.layout == Layout::lambda_local)
    return {1, p.shape[0] * p.shape[1], p.shape[2] * p.shape[3]};
  return {1, 1, p.shape.numel()};
}

std::vector<int64_t> file_shape(const Parameter& p) {
  const Shape& s = p.shape;
  switch (p.layout) {
    case Layout::conv: return {s[0], s[3], s[1], s[2]};
    case Layout::conv_1x1: return {s[0], s[1], 1, 1};
    case Layout::lambda_local: return {s[2], s[3], 1, s[0], s[1]};
    case Layout::same: break;
  }
  return {s.begin(), s.end()};
}

// The same elements in the same order: equal but for trailing ones (a classifier may be a 1x1
// convolution).
bool same_elements(std::vector<int64_t> a, std::vector<int64_t> b) {
  while (!a.empty() && a.back() == 1) a.pop_back();
  while (!b.empty() && b.back() == 1) b.pop_back();
  return a == b;
}

template <class From, class To>
void transpose(const From* from, To* to, int64_t count, int64_t rows, int64_t columns) {
  for (int64_t n = 0; n < count; ++n, from += rows * columns, to += rows * columns)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        to[c * rows + r] = static_cast<To>(from[r * columns + c]);
}

// Fills a file's F32 bytes from elements of the flat vector `values` that start at `offset`.
std::function<void(char*)> filler(const Tensor& values, int64_t offset, const Transpose& t) {
  return [=](char* out) {
    std::vector<float> file(static_cast<size_t>(t.count * t.rows * t.columns));
    dispatch_floating(values.dtype(), "save_weights", [&]<class T>() {
      transpose(values.data<T>() + offset, file.data(), t.count, t.rows, t.columns);
    });
    std::memcpy(out, file.data(), file.size() * sizeof(float));
  };
}

std::vector<SafetensorsItem> items_of(const ParameterStore& store, const Tensor& values,
                                      const Tensor& buffers) {
  std::vector<SafetensorsItem> items;
  for (const ParameterRef& p : store.parameters())
    items.push_back({p->name, "F32", file_shape(*p), filler(values, p->offset, transpose_of(*p))});
  int64_t offset = 0;
  for (const BufferRef& b : store.buffers()) {
    const int64_t size = b->shape.numel();
    items.push_back({b->name,
                     "F32",
                     {b->shape.begin(), b->shape.end()},
                     filler(buffers, offset, {1, 1, size})});
    if (b->name.ends_with(".running_mean"))
      items.push_back({b->name.substr(0, b->name.rfind('.') + 1) + std::string(kBatchCounter),
                       "I64",
                       {},
                       [](char* out) { std::memset(out, 0, 8); }});
    offset += size;
  }
  return items;
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

// The shapes that a file for this store holds, by name.
Shapes expected_shapes(const ParameterStore& store) {
  Shapes expected;
  for (const ParameterRef& p : store.parameters()) expected[p->name] = file_shape(*p);
  for (const BufferRef& b : store.buffers()) expected[b->name] = {b->shape.begin(), b->shape.end()};
  return expected;
}

// The beginning of every name of the file, up to a dot, without which most of them are names of the
// model: what wrappers put before them (DataParallel "module.", torch.compile "_orig_mod.").
std::string shared_prefix(const SafetensorsFile& file, const Shapes& expected) {
  const auto& entries = file.entries();
  if (entries.empty()) return {};
  // In sorted names, what the first and the last begin with all others begin with.
  const std::string &first = entries.begin()->first, &last = entries.rbegin()->first;
  const auto differ = std::ranges::mismatch(first, last).in1;
  const std::string shared(first.begin(), differ);
  const auto known_without = [&](size_t length) {
    return std::ranges::count_if(
        entries, [&](const auto& entry) { return expected.contains(entry.first.substr(length)); });
  };
  size_t best = 0;
  auto most = known_without(0);
  for (size_t dot = shared.find('.'); dot != std::string::npos; dot = shared.find('.', dot + 1))
    if (const auto known = known_without(dot + 1); known > most) best = dot + 1, most = known;
  return shared.substr(0, best);
}

// Checks all the file's tensors against the model's before anything is read. Names of the file
// begin with `prefix`.
void check_names(const std::string& path, const SafetensorsFile& file, const Shapes& expected,
                 const std::string& prefix) {
  const auto text = [](const std::vector<int64_t>& shape) { return Shape(std::span(shape)).str(); };
  const auto of_model = file.metadata().find("model");
  std::string hint;
  if (!prefix.empty()) hint = concat_text(" (the prefix ", quote(prefix), " left out)");
  if (of_model != file.metadata().end())
    hint += concat_text(" (the file says it is of model ", quote(of_model->second), ")");
  for (const auto& [name, shape] : expected) {
    const auto found = file.entries().find(prefix + name);
    if (found == file.entries().end())
      throw DataError(concat_text(path, ": lacks tensor ", quote(name), hint));
    if (!same_elements(found->second.shape, shape))
      throw DataError(concat_text(path, ": tensor ", quote(name), " is ", text(found->second.shape),
                                  ", the model needs ", text(shape), hint));
  }
  for (const auto& [name, entry] : file.entries())
    if (!expected.contains(name.substr(prefix.size())) && !name.ends_with(kBatchCounter))
      throw DataError(
          concat_text(path, ": tensor ", quote(name), " belongs to nothing in the model", hint));
}

// Copies a tensor in file order to `offset` of the flat vector `values`, in memory order.
void place(const Tensor& tensor, Tensor values, int64_t offset, const Transpose& t) {
  dispatch_floating(values.dtype(), "load_weights", [&]<class T>() {
    transpose(tensor.data<T>(), values.data<T>() + offset, t.count, t.columns, t.rows);
  });
}

void replace(Tensor values, const Tensor& by) {
  values.copy_from(by);
  values.bump_version();
}

void write_weights(const std::string& path, const ParameterStore& store, const Tensor& values,
                   const Tensor& buffers, Metadata base, const Metadata& metadata) {
  CHECK(values.defined() && values.numel() == store.parameter_count(), "save_weights: values are ",
        values, ", the model has ", store.parameter_count(), " parameters");
  CHECK(buffers.shape() == store.buffer_values().shape(), "save_weights: buffers are ", buffers,
        ", the model's ", store.buffer_values());
  base.insert({{"format", "pt"}, {"framework", "passband"}});
  for (const auto& [key, value] : metadata) base[key] = value;
  const auto items = items_of(store, values.to({}), buffers.to({}));
  write_file_atomically(path, pack_safetensors(items, base));
}

}  // namespace

void save_weights(const std::string& path, const Model& model, const Metadata& metadata) {
  save_weights(path, model, model.store().values(), model.store().buffer_values(), metadata);
}

void save_weights(const std::string& path, const Model& model, const Tensor& values,
                  const Tensor& buffers, const Metadata& metadata) {
  write_weights(path, model.store(), values, buffers,
                {{"model", model.name()},
                 {"classes", std::to_string(model.options().classes)},
                 {"image_size", std::to_string(model.options().image_size)}},
                metadata);
}

void save_weights(const std::string& path, const ParameterStore& store, const Metadata& metadata) {
  write_weights(path, store, store.values(), store.buffer_values(), {}, metadata);
}

Metadata load_weights(const std::string& path, Model& model, std::string* prefix) {
  CHECK(model.store().values().defined(), "load_weights: model ", model.name(),
        " was made without memory (build = false)");
  return load_weights(path, model.store(), prefix);
}

Metadata load_weights(const std::string& path, ParameterStore& store, std::string* prefix) {
  CHECK(store.values().defined(),
        "load_weights: the store has no memory yet; call its build() first");
  SafetensorsFile file(path);
  const Shapes expected = expected_shapes(store);
  const std::string before = shared_prefix(file, expected);
  check_names(path, file, expected, before);
  const DType dtype = store.values().dtype();
  Tensor values = Tensor::empty(store.values().shape(), dtype),
         buffers = Tensor::empty(store.buffer_values().shape(), dtype);
  for (const ParameterRef& p : store.parameters())
    place(file.read(before + p->name, dtype), values, p->offset, transpose_of(*p));
  int64_t offset = 0;
  for (const BufferRef& b : store.buffers()) {
    const int64_t size = b->shape.numel();
    place(file.read(before + b->name, dtype), buffers, offset, {1, 1, size});
    offset += size;
  }
  replace(store.values(), values);
  replace(store.buffer_values(), buffers);
  if (prefix) *prefix = before;
  return file.metadata();
}

}  // namespace passband
