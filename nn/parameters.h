// Parameters and modules. A module is a struct with named members (`conv1`, `bn1`); its constructor
// registers its parameters with a Scope. All trainable parameters of a model live in one flat
// vector and so do their gradients.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "nn/context.h"
#include "tensor/core/tensor.h"

namespace passband {

// How a parameter starts. All draws are Philox, keyed by the seed and the parameter's name.
struct Init {
  enum class Kind : uint8_t { constant, normal, truncated_normal, uniform };
  Kind kind = Kind::constant;
  // The value, the standard deviation (a truncated normal is cut at absolute +-2, as timm) or the
  // bound.
  double a = 0;

  static Init constant(double value) { return {Kind::constant, value}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init truncated_normal(double deviation) { return {Kind::truncated_normal, deviation}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  // What PyTorch gives linear and convolution layers, weight and bias: U(-1/sqrt(fan_in),
  // 1/sqrt(fan_in)).
  static Init fan_in_uniform(int64_t fan_in);
  // He et al. 2015 by fan-out, as torchvision's ResNets: N(0, 2 / fan_out).
  static Init fan_out_normal(int64_t fan_out);
};

// How the tensor is laid out in a checkpoint (PyTorch's order) relative to memory here.
enum class Layout : uint8_t {
  same,
  conv,               // memory (O, kh, kw, I), file (O, I, kh, kw)
  conv_1x1,           // memory (O, I), file (O, I, 1, 1)
  lambda_local,       // memory (r, r, k, u), file (k, u, 1, r, r)
  lambda_local_timm,  // memory (r, r, k, u), file (k, u, r, r, 1)
};

// A bf16 copy of a store's flat values, valid for one version of them.
struct HalfCopy {
  Tensor values;
  uint64_t version = 0;
};

// A trainable tensor: a view of the flat vector once the store is built.
struct Parameter {
  // "layer1.0.conv1.weight": equal to timm's / torchvision's where the model exists there.
  std::string name;
  Shape shape;
  Init init;
  Layout layout = Layout::same;
  // Weight decay applies: not to norms, biases, position embeddings, class token.
  bool decay = true;
  bool frozen = false;  // see ParameterStore::freeze
  int64_t groups = 1;   // of a convolution's channels
  // > 0: queries, keys and values of so many softmax heads in one matrix, (3 heads depth, in).
  int64_t heads = 0;
  // Of a table of relative positions: they are those of the query minus the key's, not the reverse.
  bool query_minus_key = false;
  int64_t offset = 0;  // first element in the flat vector
  Tensor value;        // leaf view (frozen: a plain one), f32 (f64 when the store was built so)

  // The value in another floating type: from the store's bf16 copy while that is true, else a
  // recorded cast while a graph is recorded, else one cast per version.
  Tensor as(DType dtype) const;

  std::shared_ptr<const HalfCopy> half;  // of the whole store, if it keeps one
  mutable Tensor converted;  // the last unrecorded cast, and the version it was made from
  mutable uint64_t converted_version = 0;
};

// State that is not trained: running statistics.
struct BufferState {
  std::string name;
  Shape shape;
  double initial = 0;
  Tensor value;
};

using ParameterRef = std::shared_ptr<Parameter>;
using BufferRef = std::shared_ptr<BufferState>;

// What all batch norms of a network share.
struct BatchNormSettings {
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch
  double eps = 1e-5;
  // Statistics in training are those of the batches of all processes (tensor/core/collective.h).
  bool synchronised = false;
  std::vector<ParameterRef> scales = {};  // of each of them
};

// Owns the flat vectors. Modules register while the network is being constructed; `build` then lays
// everything out.
class ParameterStore {
 public:
  // Throw when the name is taken.
  ParameterRef add_parameter(Parameter parameter);
  BufferRef add_buffer(BufferState buffer);
  // Allocates the flat vectors and draws initial values. Call once, after construction.
  void build(uint64_t seed, DType dtype = DType::f32);
  // Keeps these parameters as they are from now on: they are no leaves of a graph, so that nothing
  // is computed for gradients that would only reach them; weight decay leaves them alone; and batch
  // norms whose scale and shift are among them use and keep their running statistics. Call after
  // `build`; an optimiser that was made before has to be told (Optimizer::refresh_frozen).
  void freeze(const std::function<bool(const Parameter&)>& chosen);
  // Batch norms scale by 1 throughout: their scales begin so and are frozen, while the shifts learn
  // and the statistics are those of batches (myrtle.ai's DAWNBench entry; Jordan 2024,
  // arXiv 2404.00498). Call before `build`.
  void fix_batch_norm_scales();
  BatchNormSettings& batch_norms() { return *batch_norms_; }
  // Moves everything to a device; leaves and views made before stay behind.
  void to(Device device);

  const std::vector<ParameterRef>& parameters() const { return parameters_; }
  const std::vector<BufferRef>& buffers() const { return buffers_; }
  int64_t parameter_count() const;                   // registered so far; needs no build
  Tensor values() const { return values_; }          // (P) flat
  Tensor gradients() const { return gradients_; }    // (P) flat; bound to the leaves
  Tensor decay_mask() const { return decay_mask_; }  // (P) f32, 1 where weight decay applies
  // The same where all that is not frozen decays.
  Tensor trained_mask() const;
  Tensor buffer_values() const {
    return buffer_values_;
  }  // (B) flat, all buffers, f32 (f64 when built so)
  void zero_gradients();
  // After the flat values were changed in place.
  void touch() { values_.bump_version(); }

  // Keeps a bf16 copy of the flat values from now on, which an optimiser writes in the same pass
  // (StepExtras::half): forward passes in bf16 then cast no parameter. Call after `to`.
  void keep_half();
  Tensor half_values() const { return half_ ? half_->values : Tensor{}; }  // (P) bf16, or undefined
  // Casts the flat values again unless the copy is true to them.
  void refresh_half();
  // After somebody has changed the flat values and their copy alike.
  void touch_with_half();

  // Multiply-accumulates of one image, counted by the layers while they are constructed (1 MAC = 2
  // FLOP). Counted: convolutions, linear layers, attention and lambda products; not: norms,
  // pooling, pointwise.
  void add_macs(int64_t macs) { macs_ += macs; }
  // Registers the scale of a batch norm; returns what it shares with the others.
  std::shared_ptr<const BatchNormSettings> add_batch_norm(const ParameterRef& scale);
  int64_t macs() const { return macs_; }

 private:
  void claim(const std::string& name);
  void make_views();

  std::vector<ParameterRef> parameters_;
  std::vector<BufferRef> buffers_;
  std::unordered_set<std::string> names_;
  Tensor values_, gradients_, decay_mask_, buffer_values_;
  std::shared_ptr<HalfCopy> half_;
  std::shared_ptr<BatchNormSettings> batch_norms_ = std::make_shared<BatchNormSettings>();
  int64_t macs_ = 0;
};

// A place in the network while it is constructed: the store and the name so far.
class Scope {
 public:
  explicit Scope(ParameterStore& store, std::string path = {})
      : store_(&store), path_(std::move(path)) {}
  Scope operator/(std::string_view name) const;  // scope / "layer1" / "0"
  const std::string& path() const { return path_; }
  // The last component of the path: what a module calls itself while it runs.
  std::string name() const;

  ParameterRef parameter(std::string_view name, const Shape& shape, const Init& init,
                         Layout layout = Layout::same, bool decay = true) const;
  BufferRef buffer(std::string_view name, const Shape& shape, double initial) const;
  void count_macs(int64_t macs) const { store_->add_macs(macs); }
  std::shared_ptr<const BatchNormSettings> add_batch_norm(const ParameterRef& scale) const {
    return store_->add_batch_norm(scale);
  }

 private:
  std::string join(std::string_view name) const;

  ParameterStore* store_;
  std::string path_;
};

}  // namespace passband
