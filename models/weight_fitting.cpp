#include "models/weight_fitting.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "models/resample.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

using Sizes = std::vector<int64_t>;

std::string text(const Sizes& shape) { return Shape(std::span(shape)).str(); }

// The same elements in the same order: equal but for trailing ones (a classifier may be a 1x1
// convolution).
bool same_elements(Sizes a, Sizes b) {
  while (!a.empty() && a.back() == 1) a.pop_back();
  while (!b.empty() && b.back() == 1) b.pop_back();
  return a == b;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

// A table with an entry for each place of a grid.
struct PlaceTable {
  TableGrid grid;
  int64_t before = 0;  // entries of no place: class tokens
  int64_t depth = 0;
  bool channels_first = false;
  CubicFilter filter = CubicFilter::plain;
};

std::optional<TableGrid> square(int64_t count) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
  if (count < 1 || side * side != count) return {};
  return TableGrid{side, side};
}

// Such a table by its name, with `tokens` entries of no place.
std::optional<PlaceTable> place_table(const std::string& name, const Sizes& shape, int64_t tokens) {
  const std::string last = last_part(name);
  PlaceTable table;
  std::optional<TableGrid> grid;
  if ((last == "pos_embed" || last == "positional_emb") && shape.size() == 3) {
    table = {.before = tokens, .depth = shape[2], .filter = CubicFilter::antialiased};
    grid = square(shape[1] - tokens);
  } else if (last == "pos_embed" && shape.size() == 4) {
    table = {.depth = shape[1], .channels_first = true, .filter = CubicFilter::antialiased};
    grid = TableGrid{shape[2], shape[3]};
  } else if (last == "relative_position_bias_table" && shape.size() == 2) {
    table.depth = shape[1];
    grid = square(shape[0]);
  } else if (last == "pos_emb" && shape.size() == 4) {
    table.depth = shape[2] * shape[3];
    grid = TableGrid{shape[0], shape[1]};
  }
  if (!grid || grid->rows < 1 || grid->columns < 1 || table.depth < 1) return {};
  table.grid = *grid;
  return table;
}

// Entries of no place in tables of positions.
int64_t tokens_of(const NamedShapes& expected) {
  return (expected.contains("cls_token") ? 1 : 0) + (expected.contains("dist_token") ? 1 : 0);
}

// Tables of two shapes that differ in their grids alone.
bool differ_in_grid(const std::optional<PlaceTable>& a, const std::optional<PlaceTable>& b) {
  return a && b && a->depth == b->depth && a->channels_first == b->channels_first;
}

// Kernels of a patch embedding, (O, I, h, w) of two sizes.
bool differ_in_patch(const std::string& name, const Sizes& a, const Sizes& b) {
  return name.ends_with("patch_embed.proj.weight") && a.size() == 4 && b.size() == 4 &&
         a[0] == b[0] && a[1] == b[1] && std::min({a[2], a[3], b[2], b[3]}) > 0;
}

// Of queries, keys and values, which some forms of a network have and others not.
bool is_optional_bias(const std::string& name) { return name.ends_with(".attn.qkv.bias"); }

// (rows, columns) x (depth) to (depth) x (rows, columns), and back.
std::vector<float> transposed(const std::vector<float>& in, int64_t rows) {
  const int64_t columns = std::ssize(in) / rows;
  std::vector<float> out(in.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = in[r * columns + c];
  return out;
}

// What a person can do about a shape that does not fit.
std::string way_out(const std::string& name, const Sizes& in_file, const Sizes& wanted) {
  if (is_classifier(name))
    return concat_text("; its classifier tells ", in_file.empty() ? 0 : in_file[0],
                       " classes from each other, not ", wanted[0],
                       ": ./train --weights fits a new one to other classes");
  if (name.starts_with("patch_embed.") && in_file.size() == 4 && wanted.size() == 4 &&
      in_file[2] != wanted[2])
    return concat_text("; its patches have ", in_file[2], " x ", in_file[3],
                       " pixels: give --model a name with patch", in_file[2]);
  if ((name == "conv1.weight" || name == "stem.conv.weight") && in_file.size() == 4 &&
      in_file[2] != wanted[2])
    return in_file[2] > wanted[2]
               ? "; its stem is ImageNet's: keep it by ./train --stem imagenet, or enlarge the "
                 "pictures by --img-size 224"
               : "; its stem is that for small pictures: keep it by ./train --stem cifar, or "
                 "shrink "
                 "the pictures by --img-size 32";
  return {};
}

}  // namespace

WeightFitting::WeightFitting(TensorFile& file, NamedShapes expected, const FitOptions& options)
    : file_(file),
      expected_(std::move(expected)),
      options_(options),
      found_(find_tensors(file, expected_)) {
  for (const auto& [name, shape] : expected_) check_expected(name, shape);
  for (const auto& [name, tensor] : found_.tensors) {
    if (expected_.contains(name)) continue;
    // Of a network without a classifier: a layer that only its training needed.
    const bool unused = name.starts_with("pooler.") || name.ends_with(".pooler.dense.weight") ||
                        name.ends_with(".pooler.dense.bias");
    if (unused || (options_.new_head && is_classifier(name))) passed_over_.insert(name);
    else if (options_.resample && is_optional_bias(name)) ++biases_left_out_;
    else check_unknown(name);
  }
}

void WeightFitting::fail(const std::string& why) const {
  std::string hint;
  if (!found_.prefix.empty())
    hint = concat_text(" (the prefix ", quote(found_.prefix), " left out)");
  if (!found_.writer.empty()) hint += concat_text(" (read as ", found_.writer, " names it)");
  if (const std::string model = model_named_in(file_); !model.empty())
    hint += concat_text(" (the file says it is of model ", quote(model), ")");
  throw DataError(concat_text(file_.path(), ": ", why, hint));
}

bool WeightFitting::keeps_head(const std::string& name, const FoundTensor* tensor) const {
  if (!options_.new_head || !is_classifier(name)) return false;
  return options_.other_classes || !tensor || tensor->shape.empty() ||
         tensor->shape[0] != expected_.at(name)[0];
}

void WeightFitting::check_expected(const std::string& name, const Sizes& shape) {
  const auto found = found_.tensors.find(name);
  const FoundTensor* tensor = found == found_.tensors.end() ? nullptr : &found->second;
  if (keeps_head(name, tensor)) {
    kept_.insert(name);
    return;
  }
  if (!tensor && options_.resample && is_optional_bias(name)) {
    begin_at_zero_.insert(name);
    return;
  }
  if (!tensor) fail(concat_text("lacks tensor ", quote(name)));
  if (same_elements(tensor->shape, shape)) return;
  if (options_.resample && fits_resampled(name, tensor->shape, shape)) return;
  const int64_t tokens = tokens_of(expected_);
  const bool resamples =
      differ_in_grid(place_table(name, tensor->shape, tokens), place_table(name, shape, tokens));
  fail(concat_text("tensor ", quote(name), " is ", text(tensor->shape), ", the model needs ",
                   text(shape),
                   resamples ? "; --img-size N fits its tables to pictures of N pixels"
                             : way_out(name, tensor->shape, shape)));
}

// Notes how.
bool WeightFitting::fits_resampled(const std::string& name, const Sizes& in_file,
                                   const Sizes& wanted) {
  if (differ_in_patch(name, in_file, wanted)) {
    patch_ = concat_text("from ", in_file[2], " x ", in_file[3], " to ", wanted[2], " x ",
                         wanted[3], " pixels");
    return true;
  }
  const auto from = place_table(name, in_file, tokens_of(expected_)),
             to = place_table(name, wanted, tokens_of(expected_));
  if (!differ_in_grid(from, to)) return false;
  ++resampled_[concat_text(last_part(name), " from ", from->grid.rows, " x ", from->grid.columns,
                           " to ", to->grid.rows, " x ", to->grid.columns)];
  return true;
}

void WeightFitting::check_unknown(const std::string& name) const {
  fail(concat_text("tensor ", quote(found_.tensors.at(name).parts.front()),
                   " belongs to nothing in the model"));
}

Tensor WeightFitting::whole(const FoundTensor& tensor, DType dtype) {
  if (tensor.parts.size() == 1) return file_.read(tensor.parts.front(), dtype);
  Tensor out = Tensor::empty(Shape(std::span(tensor.shape)), dtype);
  auto* at = static_cast<char*>(out.raw());
  for (const std::string& name : tensor.parts) {
    const Tensor part = file_.read(name, dtype);
    const auto bytes = static_cast<size_t>(part.numel() * size_of(dtype));
    std::memcpy(at, part.raw(), bytes);
    at += bytes;
  }
  return out;
}

void WeightFitting::check_finite(const std::string& name, const Tensor& tensor) const {
  dispatch_floating(tensor.dtype(), "check_finite", [&]<class T>() {
    const std::span<const T> values(tensor.data<T>(), static_cast<size_t>(tensor.numel()));
    const auto isnt_finite = [](T value) { return !std::isfinite(static_cast<double>(value)); };
    const auto wrong = std::ranges::count_if(values, isnt_finite);
    if (wrong > 0)
      fail(concat_text("tensor ", quote(name), " holds ", wrong, " of ", tensor.numel(),
                       " numbers that are infinite or none (NaN): the file is damaged, or its "
                       "training diverged"));
  });
}

Tensor WeightFitting::resampled(const std::string& name, const Tensor& tensor) const {
  const Sizes& wanted = expected_.at(name);
  const Sizes given(tensor.shape().begin(), tensor.shape().end());
  if (!differ_in_patch(name, given, wanted)) return resampled_table(name, tensor);
  const std::vector<double> kernels = tensor.values();
  const std::vector<float> single(kernels.begin(), kernels.end());
  return Tensor::from(
      resample_kernels(single, given[0] * given[1], {given[2], given[3]}, {wanted[2], wanted[3]}),
      Shape(std::span(wanted)), tensor.dtype());
}

Tensor WeightFitting::resampled_table(const std::string& name, const Tensor& tensor) const {
  const Sizes& wanted = expected_.at(name);
  const Sizes given(tensor.shape().begin(), tensor.shape().end());
  const int64_t tokens = tokens_of(expected_);
  const PlaceTable from = *place_table(name, given, tokens),
                   to = *place_table(name, wanted, tokens);
  const std::vector<double> all = tensor.values();
  const auto places = all.begin() + from.before * from.depth;
  std::vector<float> table(places, all.end());
  if (from.channels_first) table = transposed(table, from.depth);
  table = resample_table(table, from.grid, to.grid, from.depth, from.filter);
  if (to.channels_first) table = transposed(table, to.grid.rows * to.grid.columns);
  std::vector<double> values(all.begin(), places);
  values.insert(values.end(), table.begin(), table.end());
  return Tensor::from(values, Shape(std::span(wanted)), tensor.dtype());
}

std::optional<Tensor> WeightFitting::read(const std::string& name, DType dtype) {
  if (kept_.contains(name)) return {};
  if (begin_at_zero_.contains(name))
    return Tensor::zeros(Shape(std::span(expected_.at(name))), dtype);
  const FoundTensor& found = found_.tensors.at(name);
  Tensor tensor = whole(found, dtype);
  if (options_.finite) check_finite(found.parts.front(), tensor);
  return same_elements(found.shape, expected_.at(name)) ? tensor : resampled(name, tensor);
}

std::vector<std::string> WeightFitting::notes() const {
  std::vector<std::string> notes;
  const auto note = [&](const auto&... parts) {
    notes.push_back(concat_text(file_.path(), ": ", parts...));
  };
  if (const auto place = file_.metadata().find("place"); place != file_.metadata().end())
    note("its tensors are those under ", quote(place->second));
  if (!found_.prefix.empty())
    note("the prefix ", quote(found_.prefix), " that all its names share is left out");
  if (!found_.writer.empty()) note("its names are read as ", found_.writer, " writes them");
  for (const auto& [what, count] : resampled_)
    note(counted(count, "table"), " resampled (bicubic): ", what);
  if (!patch_.empty()) note("patch embedding resampled (pseudo-inverse) ", patch_);
  if (biases_left_out_ > 0)
    note(biases_left_out_, " biases of queries, keys and values left out: the ",
         "model, in this form, has none");
  if (!begin_at_zero_.empty())
    note(begin_at_zero_.size(),
         " biases of queries, keys and values begin at 0: the file has none");
  for (const std::string& name : kept_) {
    if (!name.ends_with(".weight")) continue;
    const auto found = found_.tensors.find(name);
    note("the classifier ",
         found == found_.tensors.end()
             ? std::string("is missing")
             : concat_text("of ", found->second.shape[0], " classes is left out"),
         "; a new one of ", expected_.at(name)[0], " begins from random weights");
  }
  if (!passed_over_.empty()) note("not used: ", join({passed_over_.begin(), passed_over_.end()}));
  return notes;
}

}  // namespace passband
