// A model's parameters and buffers to a safetensors file and back: layouts, and all or nothing.
#include "models/weights.h"

#include <cstring>

#include "models/run_settings.h"
#include "models/safetensors.h"
#include "models/weight_fitting.h"
#include "tensor/core/file.h"

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
  if (p.layout == Layout::lambda_local || p.layout == Layout::lambda_local_timm)
    return {1, p.shape[0] * p.shape[1], p.shape[2] * p.shape[3]};
  return {1, 1, p.shape.numel()};
}

std::vector<int64_t> file_shape(const Parameter& p) {
  const Shape& s = p.shape;
  switch (p.layout) {
    case Layout::conv: return {s[0], s[3], s[1], s[2]};
    case Layout::conv_1x1: return {s[0], s[1], 1, 1};
    case Layout::lambda_local: return {s[2], s[3], 1, s[0], s[1]};
    case Layout::lambda_local_timm: return {s[2], s[3], s[0], s[1], 1};
    case Layout::same: break;
  }
  return {s.begin(), s.end()};
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

// The shapes that a file for this store holds, by name.
NamedShapes expected_shapes(const ParameterStore& store) {
  NamedShapes expected;
  for (const ParameterRef& p : store.parameters()) expected[p->name] = file_shape(*p);
  for (const BufferRef& b : store.buffers()) expected[b->name] = {b->shape.begin(), b->shape.end()};
  return expected;
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

// What the fitting finds for everything in the store; what it leaves keeps its value.
void read_all(WeightFitting& fitting, ParameterStore& store) {
  const DType dtype = store.values().dtype();
  Tensor values = Tensor::empty(store.values().shape(), dtype),
         buffers = Tensor::empty(store.buffer_values().shape(), dtype);
  values.copy_from(store.values());
  for (const ParameterRef& p : store.parameters())
    if (const auto tensor = fitting.read(p->name, dtype))
      place(*tensor, values, p->offset, transpose_of(*p));
  int64_t offset = 0;
  for (const BufferRef& b : store.buffers()) {
    const int64_t size = b->shape.numel();
    place(*fitting.read(b->name, dtype), buffers, offset, {1, 1, size});
    offset += size;
  }
  replace(store.values(), values);
  replace(store.buffer_values(), buffers);
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

NamedShapes saved_shapes(const ParameterStore& store) {
  NamedShapes shapes;
  for (const SafetensorsItem& item : items_of(store, {}, {})) shapes[item.name] = item.shape;
  return shapes;
}

void save_weights(const std::string& path, const Model& model, const Metadata& metadata) {
  save_weights(path, model, model.store().values(), model.store().buffer_values(), metadata);
}

void save_weights(const std::string& path, const Model& model, const Tensor& values,
                  const Tensor& buffers, const Metadata& metadata) {
  const ModelOptions& options = model.options();
  Metadata base = {{"model", model.name()},
                   {"classes", std::to_string(options.classes)},
                   {"image_size", std::to_string(options.image_size)}};
  if (options.stem != StemKind::automatic) base["stem"] = word_of(options.stem);
  write_weights(path, model.store(), values, buffers, base, metadata);
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
  const std::unique_ptr<TensorFile> file = open_tensor_file(path);
  WeightFitting fitting(*file, expected_shapes(store), {.resample = false, .finite = false});
  read_all(fitting, store);
  if (prefix) *prefix = fitting.prefix();
  return file->metadata();
}

FittedWeights fit_weights(const std::string& path, Model& model, const FitOptions& options) {
  ParameterStore& store = model.store();
  CHECK(store.values().defined(), "fit_weights: model ", model.name(),
        " was made without memory (build = false)");
  const std::unique_ptr<TensorFile> file = open_tensor_file(path);
  WeightFitting fitting(*file, expected_shapes(store), options);
  read_all(fitting, store);
  return {file->metadata(), fitting.notes()};
}

}  // namespace passband
