// Convolutions as oneDNN primitives: direct ones on plain NHWC activations, Winograd's on blocked
// copies (on ResNet-50's widest maps 1.4 ms beside 11). One primitive for some images, and where
// images are few for some channels.
#include <cstring>

#include "tensor/core/parallel.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/conv_onednn.h"
#include "tensor/ops/reduce_kernels.h"

namespace passband::cpu {
namespace {

using dnnl::memory;

// --- the pieces ---

struct Piece {
  ConvGeometry g;          // its own images and channels
  int64_t image, channel;  // where it begins
};

// All images, and the channels of y, or of x for the gradient of x, in pieces. The gradient of the
// weight is a sum over the pieces of images.
class Pieces {
 public:
  Pieces(ConvPass pass, ConvAlgorithm algorithm, const ConvGeometry& g)
      : g_(g),
        of_x_(pass == ConvPass::backward_input),
        images_{g.n, g.n},
        channels_{of_x_ ? g.c : g.o, of_x_ ? g.c : g.o} {
    constexpr int64_t kMost = 32, kMostSums = 16, kEnough = 8, kLeastProducts = 1 << 18;
    const int64_t wanted = std::min(kMost, g.pixels() * g.o * g.patch() / kLeastProducts);
    if (pass == ConvPass::backward_weight) {
      cut_channels(std::min(wanted, kEnough));
      cut_images(std::min(wanted, kMostSums) / channels(), kLongSum);
    } else {
      cut_images(wanted, algorithm == ConvAlgorithm::winograd ? kManyTiles : 1);
      cut_channels(std::min(wanted, kEnough));
    }
  }
  int64_t images() const { return images_.count(); }
  int64_t channels() const { return channels_.count(); }
  int64_t count() const { return images() * channels(); }
  Piece at(int64_t i) const { return at(i / channels(), i % channels()); }
  Piece at(int64_t image, int64_t channel) const {
    Piece piece{g_, images_.begin(image), channels_.begin(channel)};
    piece.g.n = images_.size(image);
    if (channels() > 1) {  // there is one group
      (of_x_ ? piece.g.c : piece.g.o) = channels_.size(channel);
      (of_x_ ? piece.g.ci : piece.g.co) = channels_.size(channel);
    }
    return piece;
  }

 private:
  static constexpr int64_t kLongSum = 1024;    // pixels worth a further copy of the gradient
  static constexpr int64_t kManyTiles = 4096;  // pixels worth a transform of the weights

  void cut_images(int64_t wanted, int64_t least_pixels) {
    const int64_t least = pieces_of(least_pixels, g_.ho * g_.wo);
    images_.piece = std::min(g_.n, std::max(least, pieces_of(g_.n, std::max<int64_t>(wanted, 1))));
  }
  void cut_channels(int64_t wanted) {
    constexpr int64_t kLeast = 64, kUnit = 16;
    if (g_.groups > 1) return;
    while (count() < wanted && channels_.piece >= 2 * kLeast) channels_.halve(kUnit);
  }

  ConvGeometry g_;
  bool of_x_;
  CutLength images_, channels_;
};

// --- the primitive of a piece ---

// One convolution as oneDNN describes it. `own_*` are the layouts of this library, the others what
// a primitive is asked to take.
struct ConvLayouts {
  memory::desc own_x, own_y, own_weight, x, y, weight, sums, bias;
  memory::dims strides, dilations, padding, padding_after;
  dnnl::algorithm algorithm = dnnl::algorithm::convolution_direct;

  ConvLayouts(ConvAlgorithm chosen, const ConvGeometry& g, const ConvGeometry& whole, DType dtype) {
    const auto type = onednn::type_of(dtype);
    const memory::dims x_sizes{g.n, g.c, g.h, g.w}, y_sizes{g.n, g.o, g.ho, g.wo};
    own_x = {x_sizes, type, memory::dims{g.h * g.w * whole.c, 1, g.w * whole.c, whole.c}};
    own_y = {y_sizes, type, memory::dims{g.ho * g.wo * whole.o, 1, g.wo * whole.o, whole.o}};
    // In memory (O, kh, kw, I / groups); oneDNN names the dimensions (G, O / G, I / G, kh, kw).
    memory::dims sizes{g.co, g.ci, g.kh, g.kw};
    memory::dims own{whole.patch(), 1, g.kw * whole.ci, whole.ci};
    if (g.groups > 1) {
      sizes.insert(sizes.begin(), g.groups);
      own.insert(own.begin(), g.co * g.patch());
    }
    own_weight = {sizes, type, own};
    weight = {sizes, type, memory::format_tag::any};
    sums = {sizes, memory::data_type::f32, memory::format_tag::any};
    const bool winograd = chosen == ConvAlgorithm::winograd;
    if (winograd) algorithm = dnnl::algorithm::convolution_winograd;
    const auto layout = winograd ? memory::format_tag::any : memory::format_tag::nhwc;
    x = {x_sizes, type, layout};
    y = {y_sizes, type, layout};
    bias = {memory::dims{g.o}, type, memory::format_tag::a};
    strides = {g.rows.stride, g.columns.stride};
    dilations = {g.rows.dilation - 1, g.columns.dilation - 1};
    padding = {g.rows.before, g.columns.before};
    padding_after = {g.rows.after, g.columns.after};
  }
};

dnnl::convolution_forward::primitive_desc describe_forward(const ConvLayouts& l, bool bias) {
  using Forward = dnnl::convolution_forward;
  const auto kind = dnnl::prop_kind::forward_training;
  const auto describe = [&](const auto&... layouts) {
    return onednn::describe<Forward>(onednn::attributes(), kind, l.algorithm, layouts..., l.strides,
                                     l.dilations, l.padding, l.padding_after);
  };
  return bias ? describe(l.x, l.weight, l.bias, l.y) : describe(l.x, l.weight, l.y);
}

// A gradient's descriptor, for the layouts of x, the weight and y.
template <class Backward>
typename Backward::primitive_desc describe_backward(const ConvLayouts& l,
                                                    const memory::desc& weight) {
  return onednn::describe_gradient<Backward>(describe_forward(l, false), l.algorithm, l.x, weight,
                                             l.y, l.strides, l.dilations, l.padding,
                                             l.padding_after);
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
  const auto made = describe_backward<Backward>(l, l.weight);
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
  const auto made = describe_backward<Backward>(l, l.sums);
  return {.primitive = Backward(made),
          .source = made.src_desc(),
          .destination = made.diff_dst_desc(),
          .scratchpad = made.scratchpad_desc(),
          .weights = {made.diff_weights_desc(), l.own_weight},
          .x = {l.own_x, made.src_desc()},
          .y = {l.own_y, made.diff_dst_desc()}};
}

onednn::Plan make_plan(ConvPass pass, const ConvLayouts& layouts, bool bias) {
  switch (pass) {
    case ConvPass::backward_input: return plan_backward_input(layouts);
    case ConvPass::backward_weight: return plan_backward_weight(layouts);
    case ConvPass::forward: break;
  }
  return plan_forward(layouts, bias);
}

// A convolution whose pieces are asked for.
struct Convolution {
  ConvPass pass;
  ConvAlgorithm algorithm;
  const ConvGeometry& whole;
  DType dtype;
  bool bias = false;

  onednn::PlanRef plan(const ConvGeometry& g) const {
    onednn::Key key(static_cast<int64_t>(pass));
    key.add(static_cast<int64_t>(algorithm)).add(static_cast<int64_t>(dtype)).add(int64_t{bias});
    key.add(whole.c).add(whole.o);
    for (const int64_t number : g.numbers()) key.add(number);
    return onednn::plan_for("conv2d", key, [&] {
      try {
        return make_plan(pass, ConvLayouts(algorithm, g, whole, dtype), bias);
      } catch (const dnnl::error& error) {
        if (algorithm == ConvAlgorithm::direct || error.status != dnnl_unimplemented) throw;
        return make_plan(pass, ConvLayouts(ConvAlgorithm::direct, g, whole, dtype), bias);
      }
    });
  }
};

// --- where a piece begins; a layout says how far it reaches ---

Tensor x_from(const Tensor& x, const ConvGeometry& whole, int64_t image, int64_t channel) {
  return x.view(image * whole.h * whole.w * whole.c + channel, {1});
}
Tensor y_from(const Tensor& y, const ConvGeometry& whole, int64_t image, int64_t channel) {
  return y.view(image * whole.ho * whole.wo * whole.o + channel, {1});
}
Tensor weight_from(const Tensor& w, const ConvGeometry& whole, int64_t channel_of_y) {
  return w.view(channel_of_y * whole.patch(), {1});
}

// Packs the weights that several pieces read, once.
void pack(const Convolution& convolution, const Pieces& pieces, const Tensor& w, int64_t step) {
  for_each_index(pieces.channels(), [&](int64_t i) {
    const Piece piece = pieces.at(0, i);
    onednn::packed(convolution.plan(piece.g)->weights, w.view(piece.channel * step, {1}));
  });
}

// (channels, images, n) -> (channels, n)
Tensor total(const Tensor& sums) {
  const Reduction over_images{sums.size(0), sums.size(1), sums.size(2)};
  if (over_images.n == 1) return sums.viewed_as({over_images.outer, over_images.inner});
  Tensor result = Tensor::empty({over_images.outer, over_images.inner}, DType::f32);
  sum(result, sums, over_images, 1.0);
  return result;
}

}  // namespace

void forward_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor y, const Tensor& x,
                       const Tensor& w, const Tensor& bias) {
  const Convolution convolution{ConvPass::forward, algorithm, g, x.dtype(), bias.defined()};
  const Pieces pieces(ConvPass::forward, algorithm, g);
  pack(convolution, pieces, w, g.patch());
  for_each_index(pieces.count(), [&](int64_t i) {
    const Piece piece = pieces.at(i);
    const onednn::PlanRef plan = convolution.plan(piece.g);
    const Tensor to = y_from(y, g, piece.image, piece.channel);
    const Tensor source = plan->x(x_from(x, g, piece.image, 0)),
                 weights = onednn::packed(plan->weights, weight_from(w, g, piece.channel)),
                 result = plan->y.memory_before(to);
    const Tensor offset = bias.defined() ? bias.view(piece.channel, {1}) : Tensor{};
    onednn::execute(*plan, {{DNNL_ARG_SRC, plan->source, source.raw()},
                            {DNNL_ARG_WEIGHTS, plan->weights.to, weights.raw()},
                            {DNNL_ARG_BIAS, plan->bias, offset.raw()},
                            {DNNL_ARG_DST, plan->destination, result.raw()}});
    if (plan->y.needed()) plan->y(to, result);
  });
}

void backward_input_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor dx,
                              const Tensor& dy, const Tensor& w) {
  const Convolution convolution{ConvPass::backward_input, algorithm, g, dy.dtype()};
  const Pieces pieces(ConvPass::backward_input, algorithm, g);
  pack(convolution, pieces, w, 1);
  for_each_index(pieces.count(), [&](int64_t i) {
    const Piece piece = pieces.at(i);
    const onednn::PlanRef plan = convolution.plan(piece.g);
    const Tensor to = x_from(dx, g, piece.image, piece.channel);
    const Tensor gradient = plan->y(y_from(dy, g, piece.image, 0)),
                 weights = onednn::packed(plan->weights, w.view(piece.channel, {1})),
                 result = plan->x.memory_before(to);
    onednn::execute(*plan, {{DNNL_ARG_DIFF_DST, plan->destination, gradient.raw()},
                            {DNNL_ARG_WEIGHTS, plan->weights.to, weights.raw()},
                            {DNNL_ARG_DIFF_SRC, plan->source, result.raw()}});
    if (plan->x.needed()) plan->x(to, result);
  });
}

void backward_weight_primitive(ConvAlgorithm algorithm, const ConvGeometry& g, Tensor dw,
                               const Tensor& dy, const Tensor& x) {
  const Convolution convolution{ConvPass::backward_weight, algorithm, g, dy.dtype()};
  const Pieces pieces(ConvPass::backward_weight, algorithm, g);
  // Of each piece of channels: its sums over each piece of images, all laid out as those of the
  // first.
  const int64_t bytes =
      static_cast<int64_t>(convolution.plan(pieces.at(0).g)->weights.from.get_size());
  Tensor sums =
      Tensor::empty({pieces.channels(), pieces.images(), bytes / size_of(DType::f32)}, DType::f32);
  for_each_index(pieces.count(), [&](int64_t i) {
    const int64_t channel = i / pieces.images();
    const Piece piece = pieces.at(i % pieces.images(), channel);
    const onednn::PlanRef plan = convolution.plan(piece.g),
                          first = convolution.plan(pieces.at(0, channel).g);
    const Tensor source = plan->x(x_from(x, g, piece.image, 0)),
                 gradient = plan->y(y_from(dy, g, piece.image, piece.channel));
    const onednn::Reorder turn(plan->weights.from, first->weights.from);
    const Tensor to = sums.view(i * sums.size(2), {1}), result = turn.memory_before(to);
    onednn::execute(*plan, {{DNNL_ARG_SRC, plan->source, source.raw()},
                            {DNNL_ARG_DIFF_DST, plan->destination, gradient.raw()},
                            {DNNL_ARG_DIFF_WEIGHTS, plan->weights.from, result.raw()}});
    if (turn.needed()) turn(to, result);
  });
  const Tensor totals = total(sums);
  for_each_index(pieces.channels(), [&](int64_t i) {
    const Piece piece = pieces.at(0, i);
    const onednn::PlanRef plan = convolution.plan(piece.g);
    Tensor to = weight_from(dw, g, piece.channel);
    const Tensor from = totals.view(i * totals.size(1), {1});
    if (plan->weights.needed()) plan->weights(to, from);
    else std::memcpy(to.raw(), from.raw(), plan->weights.from.get_size());
  });
}

}  // namespace passband::cpu
