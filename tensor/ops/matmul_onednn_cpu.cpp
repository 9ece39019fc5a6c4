// How a product is cut into pieces, and the oneDNN primitive of a piece.
#include "tensor/ops/matmul_onednn.h"

#include "tensor/core/parallel.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/pieces.h"
#include "tensor/ops/pointwise.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/reduce_kernels.h"
#include "tensor/ops/shape.h"

namespace passband::cpu {
namespace {

using dnnl::memory;

// --- the pieces ---

struct Piece {
  int64_t batch, row, column, depth;  // where it begins
  int64_t part;                       // of its sums
  ProductShape shape;                 // its own
};

class Pieces {
 public:
  // A piece packs what it needs of both operands, so pieces are few and near to squares. Large ones
  // stay large, at the price of cutting sums: oneDNN 2.6 takes up to twice as long for small ones.
  Pieces(const ProductShape& s, bool may_cut_sums)
      : shape_(s), batch_{s.batch, s.batch}, rows_{s.m, s.m}, columns_{s.n, s.n}, sums_{s.k, s.k} {
    constexpr int64_t kMost = 16, kEnough = 8, kFew = 4, kLeastProducts = 1 << 18, kLongSum = 1024;
    const int64_t wanted = std::min(kMost, s.batch * s.m * s.n * s.k / kLeastProducts);
    if (wanted <= 1) return;
    batch_.piece = equal_piece(s.batch, pieces_of(s.batch, wanted));
    if (large(s.m, s.n)) {
      while (count() < wanted && large_halves()) longer_side().halve(kUnit);
      while (may_cut_sums && count() < std::min(kEnough, wanted) && sums_.piece >= kLongSum)
        sums_.halve(kUnit);
      halve_sides(std::min(kFew, wanted));
    } else {
      halve_sides(wanted);
    }
  }
  int64_t count() const { return batch_.count() * rows_.count() * of_one_row(); }
  // Pieces that share nothing of the right operand; they come first.
  int64_t of_one_row() const { return columns_.count() * parts(); }
  int64_t parts() const { return sums_.count(); }
  Piece at(int64_t i) const {
    const int64_t part = i % parts(), column = i / parts() % columns_.count();
    const int64_t row = i / of_one_row() % rows_.count(), batch = i / of_one_row() / rows_.count();
    ProductShape own = shape_;
    own.batch = batch_.size(batch);
    own.m = rows_.size(row);
    own.n = columns_.size(column);
    own.k = sums_.size(part);
    return {batch_.begin(batch),
            rows_.begin(row),
            columns_.begin(column),
            sums_.begin(part),
            part,
            own};
  }

 private:
  static constexpr int64_t kUnit = 16;

  // Where oneDNN 2.6 leaves the kernels that copy nothing.
  static bool large(int64_t rows, int64_t columns) {
    return 1.0 / static_cast<double>(rows) + 1.0 / static_cast<double>(columns) < 0.0038;
  }
  bool large_halves() const {
    const int64_t more = std::max(rows_.piece, columns_.piece),
                  less = std::min(rows_.piece, columns_.piece);
    return large(more / 2, less);
  }
  CutLength& longer_side() { return rows_.piece >= columns_.piece ? rows_ : columns_; }
  void halve_sides(int64_t wanted) {
    constexpr int64_t kLeast = 128;
    while (count() < wanted && longer_side().piece > kLeast) longer_side().halve(kUnit);
  }

  ProductShape shape_;
  CutLength batch_, rows_, columns_, sums_;
};

// --- the primitive of a piece ---

memory::dims sizes(int64_t batch, int64_t m, int64_t n) {
  return batch == 1 ? memory::dims{m, n} : memory::dims{batch, m, n};
}

// A matrix of the whole product, and what a piece of it looks like.
struct Operand {
  int64_t rows, columns;
  bool transposed;  // it is read by columns
  DType dtype;

  int64_t offset(int64_t batch, int64_t row, int64_t column) const {
    return batch * rows * columns + (transposed ? column * rows + row : row * columns + column);
  }
  memory::desc piece(int64_t batch, int64_t m, int64_t n) const {
    memory::dims strides{transposed ? 1 : columns, transposed ? rows : 1};
    if (batch > 1) strides.insert(strides.begin(), rows * columns);
    return {sizes(batch, m, n), onednn::type_of(dtype), strides};
  }
  // A piece in whatever layout a primitive likes best.
  memory::desc any_layout(int64_t batch, int64_t m, int64_t n) const {
    return {sizes(batch, m, n), onednn::type_of(dtype), memory::format_tag::any};
  }
};

struct Product {
  const ProductShape& shape;
  Operand left, right, result;
  bool bias, residual;
};

onednn::Plan make_plan(const Product& product, const ProductShape& s) {
  onednn::Plan plan;
  plan.source = product.left.piece(s.batch, s.m, s.k);
  const memory::desc own = product.right.piece(s.batch, s.k, s.n);
  const memory::desc asked = s.weight_b ? product.right.any_layout(s.batch, s.k, s.n) : own;
  plan.destination = product.result.piece(s.batch, s.m, s.n);
  const auto type = onednn::type_of(product.result.dtype);
  if (product.bias)
    plan.bias = s.batch == 1 ? memory::desc({1, s.n}, type, memory::format_tag::ab)
                             : memory::desc({1, 1, s.n}, type, memory::format_tag::abc);
  dnnl::primitive_attr attributes = onednn::attributes();
  if (product.residual) {
    dnnl::post_ops addition;
    addition.append_binary(dnnl::algorithm::binary_add, plan.destination);
    attributes.set_post_ops(addition);
  }
  using Matmul = dnnl::matmul;
  const Matmul::primitive_desc made =
      product.bias
          ? onednn::describe<Matmul>(attributes, plan.source, asked, plan.bias, plan.destination)
          : onednn::describe<Matmul>(attributes, plan.source, asked, plan.destination);
  plan.primitive = Matmul(made);
  plan.weights = {own, made.weights_desc()};
  plan.scratchpad = made.scratchpad_desc();
  return plan;
}

onednn::PlanRef plan_for(const Product& product, const ProductShape& s) {
  onednn::Key key('m');
  for (const int64_t number :
       {s.batch, s.m, s.n, s.k, product.shape.m, product.shape.n, product.shape.k,
        static_cast<int64_t>(product.left.dtype), static_cast<int64_t>(product.result.dtype)})
    key.add(number);
  for (const bool flag : {s.transpose_a, s.transpose_b, s.weight_b, product.bias, product.residual})
    key.add(flag);
  return onednn::plan_for("matmul", key, [&] { return make_plan(product, s); });
}

// --- the product ---

const std::byte* at(const Tensor& x, int64_t element) {
  if (!x.defined()) return nullptr;
  return static_cast<const std::byte*>(x.raw()) + element * size_of(x.dtype());
}

void multiply(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e, const ProductShape& s,
              const Pieces& pieces) {
  const Product product{s,
                        {s.m, s.k, s.transpose_a, a.dtype()},
                        {s.k, s.n, s.transpose_b, b.dtype()},
                        {s.m, s.n, false, c.dtype()},
                        e.bias.defined(),
                        e.residual.defined()};
  const auto right = [&](const onednn::Plan& plan, const Piece& p) {
    return onednn::packed(plan.weights,
                          b.view(product.right.offset(p.batch, p.depth, p.column), {1}));
  };
  if (s.weight_b)
    for_each_index(pieces.of_one_row(), [&](int64_t i) {
      const Piece piece = pieces.at(i);
      right(*plan_for(product, piece.shape), piece);
    });
  for_each_index(pieces.count(), [&](int64_t i) {
    const Piece p = pieces.at(i);
    const onednn::PlanRef plan = plan_for(product, p.shape);
    const Tensor weights = right(*plan, p);
    const int64_t corner = product.result.offset(p.part * s.batch + p.batch, p.row, p.column);
    constexpr int kResidual = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;
    onednn::execute(
        *plan, {{DNNL_ARG_SRC, plan->source, at(a, product.left.offset(p.batch, p.row, p.depth))},
                {DNNL_ARG_WEIGHTS, plan->weights.to, weights.raw()},
                {DNNL_ARG_BIAS, plan->bias, at(e.bias, p.column)},
                {kResidual, plan->destination, at(e.residual, corner)},
                {DNNL_ARG_DST, plan->destination, at(c, corner)}});
  });
}

}  // namespace

void matmul_onednn(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                   const ProductShape& s) {
  const bool bare = !e.bias.defined() && !e.residual.defined();
  const Pieces pieces(s, bare || c.dtype() == DType::f32);
  if (pieces.parts() == 1) return multiply(c, a, b, e, s, pieces);
  Tensor parts = Tensor::empty({pieces.parts() * c.numel()}, DType::f32);
  multiply(parts, a, b, {}, s, pieces);
  sum(c, parts, {1, pieces.parts(), c.numel()}, 1.0);
  if (e.bias.defined()) add_(c, passband::expand(e.bias, c.shape()));
  if (e.residual.defined()) add_(c, e.residual);
}

}  // namespace passband::cpu
