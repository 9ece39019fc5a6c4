// Convolutions as oneDNN primitives: direct ones on plain NHWC activations, Winograd's on blocked
// copies (on ResNet-50's widest maps 1.4 ms beside 11).
#include "tensor/cpu/onednn.h"
#include "tensor/ops/conv_onednn.h"

namespace passband::cpu {
namespace {

using dnnl::memory;

enum class Pass : int64_t { forward = 'f', backward_input = 'i', backward_weight = 'w' };

// One convolution as oneDNN describes it. `own_*` are the layouts of this library, the others what
// a primitive is asked to take.
struct ConvLayouts {
  memory::desc own_x, own_y, own_weight, x, y, weight, bias;
  memory::dims strides, dilations, padding;
  dnnl::algorithm algorithm = dnnl::algorithm::convolution_direct;

  ConvLayouts(ConvAlgorithm chosen, const ConvGeometry& g, DType dtype) {
    const auto type = onednn::type_of(dtype);
    const auto [stride, pad, dilation, groups] = g.options;
    own_x = {{g.n, g.c, g.h, g.w}, type, memory::format_tag::nhwc};
    own_y = {{g.n, g.o, g.ho, g.wo}, type, memory::format_tag::nhwc};
    // In memory (O, kh, kw, I / groups); oneDNN names the dimensions (G, O / G, I / G, kh, kw).
    memory::dims sizes{g.co, g.ci, g.kh, g.kw}, own{g.patch(), 1, g.kw * g.ci, g.ci};
    if (groups > 1) {
      sizes.insert(sizes.begin(), groups);
      own.insert(own.begin(), g.co * g.patch());
    }
    own_weight = {sizes, type, own};
    weight = {sizes, type, memory::format_tag::any};
    x = own_x;
    y = own_y;
    if (chosen == ConvAlgorithm::winograd) {
      algorithm = dnnl::algorithm::convolution_winograd;
      x = {own_x.dims(), type, memory::format_tag::any};
      y = {own_y.dims(), type, memory::format_tag::any};
    }
    bias = {{g.o}, type, memory::format_tag::a};
    strides = {stride, stride};
    dilations = {dilation - 1, dilation - 1};
    padding = {pad, pad};
  }
};

dnnl::convolution_forward::primitive_desc describe_forward(const ConvLayouts& l, bool bias) {
  using Forward = dnnl::convolution_forward;
  const auto kind = dnnl::prop_kind::forward_training;
  const Forward::desc description =
      bias ? Forward::desc(kind, l.algorithm, l.x, l.weight, l.bias, l.y, l.strides, l.dilations,
                           l.padding, l.padding)
           : Forward::desc(kind, l.algorithm, l.x, l.weight, l.y, l.strides, l.dilations, l.padding,
                           l.padding);
  return {description, onednn::attributes(), onednn::engine()};
}

onednn::Plan plan_forward(const ConvLayouts& l, bool bias) {
  const auto made = describe_forward(l, bias);
  return {.primitive = dnnl::convolution_forward(made),
          .source = made.src_desc(),
          .destination = made.dst_desc(),
          .bias = l.bias,
          .scratchpad = made.scratchpad_desc(),
          .weights = {l.own_weight, made.weights_desc()},
          .x = {l.own_x, made.src_desc()},
          .y = {made.dst_desc(), l.own_y}};
}

onednn::Plan plan_backward_input(const ConvLayouts& l) {
  using Backward = dnnl::convolution_backward_data;
  const Backward::primitive_desc made(
      Backward::desc(l.algorithm, l.x, l.weight, l.y, l.strides, l.dilations, l.padding, l.padding),
      onednn::attributes(), onednn::engine(), describe_forward(l, false));
  return {.primitive = Backward(made),
          .source = made.diff_src_desc(),
          .destination = made.diff_dst_desc(),
          .scratchpad = made.scratchpad_desc(),
          .weights = {l.own_weight, made.weights_desc()},
          .x = {made.diff_src_desc(), l.own_x},
          .y = {l.own_y, made.diff_dst_desc()}};
}

// The gradient is summed in f32 also for bf16, and rounded when it is put into the tensor's own
// layout.
onednn::Plan plan_backward_weight(const ConvLayouts& l) {
  using Backward = dnnl::convolution_backward_weights;
  memory::desc sums = l.weight;
  sums.data.data_type = dnnl_f32;
  const Backward::primitive_desc made(
      Backward::desc(l.algorithm, l.x, sums, l.y, l.strides, l.dilations, l.padding, l.padding),
      onednn::attributes(), onednn::engine(), describe_forward(l, false));
  return {.primitive = Backward(made),
          .source = made.src_desc(),
          .destination = made.diff_dst_desc(),
          .scratchpad = made.scratchpad_desc(),
          .weights = {made.diff_weights_desc(), l.own_weight},
          .x = {l.own_x, made.src_desc()},
          .y = {l.own_y, made.diff_dst_desc()}};
}

onednn::Plan make_plan(Pass pass, const ConvLayouts& layouts, bool bias) {
  switch (pass) {
    case Pass::backward_input: return plan_backward_input(layouts);
    case Pass::backward_weight: return plan_backward_weight(layouts);
    case Pass::forward: break;
  }
  return plan_forward(layouts, bias);
}

onednn::PlanRef plan_for(Pass pass, ConvAlgorithm algorithm, const ConvGeometry& g, DType dtype,
                         bool bias) {
  onednn::Key key(static_cast<int64_t>(pass));
  for (const int64_t number : {static_cast<int64_t>(algorithm), g.n, g.h, g.w, g.c, g.o, g.kh, g.kw,
                               g.options.stride, g.options.padding, g.options.dilation,
                               g.options.groups, static_cast<int64_t>(dtype), int64_t{bias}})
    key.add(number);
  return onednn::plan_for("conv2d", key, [&] {
    try {
      return make_plan(pass, ConvLayouts(algorithm, g, dtype), bias);
    } catch (const dnnl::error& error) {
      if (algorithm == ConvAlgorithm::direct || error.status != dnnl_unimplemented) throw;
      return make_plan(pass, ConvLayouts(ConvAlgorithm::direct, g, dtype), bias);
    }
  });
}

}  // namespace

void forward_onednn(ConvAlgorithm algorithm, const ConvGeometry& g, const Tensor& y,
                    const Tensor& x, const Tensor& w, const Tensor& bias) {
  const auto plan = plan_for(Pass::forward, algorithm, g, x.dtype(), bias.defined());
  const Tensor source = plan->x(x), weights = onednn::packed(plan->weights, w),
               result = plan->y.memory_before(y);
  onednn::execute(*plan, {{DNNL_ARG_SRC, plan->source, source.raw()},
                          {DNNL_ARG_WEIGHTS, plan->weights.to, weights.raw()},
                          {DNNL_ARG_BIAS, plan->bias, bias.raw()},
                          {DNNL_ARG_DST, plan->destination, result.raw()}});
  if (plan->y.needed()) plan->y(y, result);
}

void backward_input_onednn(ConvAlgorithm algorithm, const ConvGeometry& g, const Tensor& dx,
                           const Tensor& dy, const Tensor& w) {
  const auto plan = plan_for(Pass::backward_input, algorithm, g, dy.dtype(), false);
  const Tensor gradient = onednn::packed(plan->y, dy), weights = onednn::packed(plan->weights, w),
               result = plan->x.memory_before(dx);
  onednn::execute(*plan, {{DNNL_ARG_DIFF_DST, plan->destination, gradient.raw()},
                          {DNNL_ARG_WEIGHTS, plan->weights.to, weights.raw()},
                          {DNNL_ARG_DIFF_SRC, plan->source, result.raw()}});
  if (plan->x.needed()) plan->x(dx, result);
}

void backward_weight_onednn(ConvAlgorithm algorithm, const ConvGeometry& g, const Tensor& dw,
                            const Tensor& dy, const Tensor& x) {
  const auto plan = plan_for(Pass::backward_weight, algorithm, g, dy.dtype(), false);
  const Tensor source = plan->x(x), gradient = onednn::packed(plan->y, dy),
               sums = plan->weights.memory_before(dw);
  onednn::execute(*plan, {{DNNL_ARG_SRC, plan->source, source.raw()},
                          {DNNL_ARG_DIFF_DST, plan->destination, gradient.raw()},
                          {DNNL_ARG_DIFF_WEIGHTS, plan->weights.from, sums.raw()}});
  if (plan->weights.needed()) plan->weights(dw, sums);
}

}  // namespace passband::cpu
