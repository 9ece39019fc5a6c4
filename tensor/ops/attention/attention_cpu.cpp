// Fused attention on the CPU: one task per (windows, head); logits live in a per-thread buffer of a
// block of query rows, probabilities are computed again in backward from the saved maxima and sums.
// Windows are index arithmetic, not copies.
#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "tensor/core/parallel.h"
#include "tensor/cpu/batch_join.h"
#include "tensor/cpu/block_product.h"
#include "tensor/ops/attention/attention_kernels.h"

LEVEL_BEGIN
namespace {

// Query rows whose logits are in the buffer at a time: all of them up to 256 tokens, then what fits
// the second-level cache.
int64_t query_rows(int64_t tokens) {
  return tokens <= 272 ? tokens : std::max<int64_t>(24, 65536 / tokens / 12 * 12);
}

// Where the tokens of each window lie in an image, and whether the shift wrapped them: (windows,
// tokens).
struct Places {
  std::vector<int64_t> at;
  std::vector<int> wrapped;

  explicit Places(const AttentionShape& s) {
    for (int64_t w = 0; w < s.windows(); ++w)
      for (int64_t t = 0; t < s.tokens(); ++t) {
        const AttentionShape::Place place = s.place(w, t);
        at.push_back(place.row * s.width + place.column);
        wrapped.push_back(place.wrapped);
      }
  }
};

// Tasks are (chunk of windows, head). A function of the shape alone, because a chunk sums the
// gradient of the bias.
struct Tasks {
  int64_t chunk, chunks, count;

  int64_t parts;  // of the batch, where sums over it are cut: as many chunks in each

  explicit Tasks(const AttentionShape& s) : parts(batch_parts_of(s.batch)) {
    const int64_t groups = s.groups() / parts;
    chunk = (groups + 127) / 128;
    chunks = (groups + chunk - 1) / chunk * parts;
    count = chunks * s.heads;
  }
  int64_t of_part() const { return count / parts; }

  // Calls run(workspace, task, group, head) for each window of each task, and done(workspace, task)
  // after its last one.
  template <class Workspace, class Run, class Done>
  void each(const AttentionShape& s, const Run& run, const Done& done) const {
    const Places places(s);
    const int64_t work = chunk * s.tokens() * (s.tokens() + 4 * s.depth);
    parallel_for(count, grain_for(work), [&](int64_t begin, int64_t end) {
      Workspace workspace(s, places);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t part = task / of_part(), groups = s.groups() / parts;
        const int64_t first = part * groups + task % of_part() / s.heads * chunk,
                      last = std::min((part + 1) * groups, first + chunk);
        for (int64_t g = first; g < last; ++g) run(workspace, task, g, task % s.heads);
        done(workspace, task);
      }
    });
  }
};

// The relative-position bias as a matrix per head (or one for all): (heads or 1, tokens, padded
// tokens).
template <class A> class BiasMatrix {
 public:
  BiasMatrix(const Tensor& table, const AttentionShape& s)
      : size_(s.tokens() * padded<A>(s.tokens())) {
    if (!table.defined()) return;
    heads_ = table.size(1);
    const std::vector<double> values = table.values();
    data_.resize(static_cast<size_t>(heads_ * size_));
    for (int64_t h = 0; h < heads_; ++h)
      for (int64_t q = 0; q < s.tokens(); ++q)
        for (int64_t k = 0; k < s.tokens(); ++k)
          data_[h * size_ + q * padded<A>(s.tokens()) + k] =
              static_cast<A>(values[s.table_entry(q, k) * heads_ + h]);
  }
  // Null without a bias.
  const A* of_head(int64_t head) const {
    return heads_ ? data_.data() + (heads_ == 1 ? 0 : head * size_) : nullptr;
  }

 private:
  int64_t size_, heads_ = 0;
  std::vector<A> data_;
};

// A matrix of the buffer: whole vectors in both directions, zeros after the last row and column.
template <class A> struct Packed {
  int64_t rows, columns, ld;
  std::vector<A> data;

  Packed(int64_t rows, int64_t columns)
      : rows(rows),
        columns(columns),
        ld(padded<A>(columns)),
        data(static_cast<size_t>(padded<A>(rows) * ld), A(0)) {}
  A* row(int64_t i) { return data.data() + i * ld; }
  Strided<A> plain(int64_t first = 0) const { return {data.data() + first * ld, ld, 1}; }
  Strided<A> transposed() const { return {data.data(), 1, ld}; }
  void become_transpose_of(const Packed& other) {
    block_transpose(data.data(), ld, other.data.data(), other.ld, other.rows, other.columns);
  }
};

// One head of one window: what the forward pass needs of it.
template <class T, class A = Accumulate<T>> struct Forward {
  const AttentionShape& s;
  const Places& places;
  int64_t tokens, block;
  int64_t image_row = 0;  // first row of the image in the (batch * height * width, ...) tensors
  const int64_t* at = nullptr;  // row of each token, within the image
  const int* wrapped = nullptr;
  bool masked = false;
  Packed<A> q, k, kt, v, logits, out;

  Forward(const AttentionShape& s, const Places& places)
      : s(s),
        places(places),
        tokens(s.tokens()),
        block(query_rows(tokens)),
        q(tokens, s.depth),
        k(tokens, s.depth),
        kt(s.depth, tokens),
        v(tokens, s.depth),
        logits(block, tokens),
        out(block, s.depth) {}

  // Packs q (scaled), k and v of the head.
  void open(const Tensor& qkv, int64_t group, int64_t head) {
    image_row = group / s.windows() * s.height * s.width;
    at = places.at.data() + group % s.windows() * tokens;
    wrapped = places.wrapped.data() + group % s.windows() * tokens;
    masked = s.shift > 0 &&
             std::any_of(wrapped, wrapped + tokens, [&](int side) { return side != wrapped[0]; });
    const int64_t width = s.heads * s.depth;
    pack(q, qkv, 3 * width, head * s.depth, static_cast<A>(s.scale));
    pack(k, qkv, 3 * width, width + head * s.depth, A(1));
    pack(v, qkv, 3 * width, 2 * width + head * s.depth, A(1));
    kt.become_transpose_of(k);
  }

  // The tokens' `depth` values at column `first` of a tensor with `stride` columns.
  void pack(Packed<A>& m, const Tensor& from, int64_t stride, int64_t first, A scale) {
    const T* data = from.data<T>() + image_row * stride + first;
    for (int64_t t = 0; t < tokens; ++t)
      for_vectors<A>(0, s.depth, [&](int64_t c, int count) {
        store(m.row(t) + c, scale * load(data + at[t] * stride + c, count));
      });
  }

  void unpack(Tensor& to, int64_t stride, int64_t first, Packed<A>& m, int64_t begin, int64_t count,
              A scale) const {
    T* data = to.data<T>() + image_row * stride + first;
    for (int64_t t = 0; t < count; ++t)
      for_vectors<A>(0, s.depth, [&](int64_t c, int n) {
        store(data + at[begin + t] * stride + c, scale * load(m.row(t) + c), n);
      });
  }

  // logits = scale * q k^T + bias of `rows` queries from `first`; -infinity where the shift
  // forbids, and in the padding.
  void find_logits(int64_t first, int64_t rows, const A* bias) {
    block_product({logits.row(0), logits.ld}, q.plain(first), {kt.row(0), kt.ld},
                  {.m = rows, .n = kt.ld, .k = s.depth});
    for (int64_t i = 0; i < rows; ++i) {
      A* row = logits.row(i);
      if (bias)
        for (int64_t j = 0; j < logits.ld; j += kLanes<A>)
          store(row + j, load(row + j) + load(bias + (first + i) * logits.ld + j));
      if (masked)
        for (int64_t j = 0; j < tokens; ++j)
          if (wrapped[j] != wrapped[first + i]) row[j] = -INFINITY;
      for (int64_t j = tokens; j < logits.ld; ++j) row[j] = -INFINITY;
    }
  }

  // Turns a row of logits into probabilities and returns the maximum and the inverse sum of the
  // exponentials.
  std::pair<A, A> softmax_row(A* row) {
    Vec<A> largest = load(row), sum{};
    for (int64_t j = kLanes<A>; j < logits.ld; j += kLanes<A>) {
      const Vec<A> x = load(row + j);
      largest = x > largest ? x : largest;
    }
    const A top = max_of<A>(largest);
    for (int64_t j = 0; j < logits.ld; j += kLanes<A>) {
      const Vec<A> p = exp<A>(load(row + j) - top);
      store(row + j, p);
      sum += p;
    }
    const A inverse = A(1) / sum_of<A>(sum);
    for (int64_t j = 0; j < logits.ld; j += kLanes<A>) store(row + j, load(row + j) * inverse);
    return {top, inverse};
  }

  void run(Tensor& y, A* statistics, int64_t head, const A* bias) {
    for (int64_t first = 0; first < tokens; first += block) {
      const int64_t rows = std::min(block, tokens - first);
      find_logits(first, rows, bias);
      for (int64_t i = 0; i < rows; ++i)
        std::tie(statistics[first + i], statistics[tokens + first + i]) =
            softmax_row(logits.row(i));
      block_product({out.row(0), out.ld}, logits.plain(), {v.row(0), v.ld},
                    {.m = rows, .n = out.ld, .k = tokens});
      unpack(y, s.heads * s.depth, head * s.depth, out, first, rows, A(1));
    }
  }
};

// What backward needs beyond: with P the probabilities, dP = dy v^T, dS = P (dP - sum_j P dP):
//   dv = P^T dy,  dq = scale dS k,  dk = scale dS^T q,  dbias = sum of dS over windows.
template <class T, class A = Accumulate<T>> struct Backward : Forward<T> {
  using Base = Forward<T>;
  using Base::s, Base::tokens, Base::block, Base::q, Base::k, Base::v, Base::logits, Base::out;
  Packed<A> dy, vt, dlogits, dq, dk, dv, bias_sum;

  Backward(const AttentionShape& s, const Places& places)
      : Base(s, places),
        dy(tokens, s.depth),
        vt(s.depth, tokens),
        dlogits(block, tokens),
        dq(block, s.depth),
        dk(tokens, s.depth),
        dv(tokens, s.depth),
        bias_sum(tokens, tokens) {}

  void open(const Tensor& qkv, const Tensor& gradient, int64_t group, int64_t head) {
    Base::open(qkv, group, head);
    Base::pack(dy, gradient, s.heads * s.depth, head * s.depth, A(1));
    vt.become_transpose_of(v);
  }

  // Turns a row of logits into probabilities P and a row of dP into dS.
  void gradient_row(A* p, A* dp, A top, A inverse) {
    Vec<A> products{};
    for (int64_t j = 0; j < logits.ld; j += kLanes<A>) {
      const Vec<A> x = exp<A>(load(p + j) - top) * inverse;
      store(p + j, x);
      products += x * load(dp + j);
    }
    const A inner = sum_of<A>(products);
    for (int64_t j = 0; j < logits.ld; j += kLanes<A>)
      store(dp + j, load(p + j) * (load(dp + j) - inner));
  }

  void run(Tensor& dqkv, const A* statistics, int64_t head, const A* bias, bool sum_bias) {
    const int64_t width = s.heads * s.depth;
    for (int64_t first = 0; first < tokens; first += block) {
      const int64_t rows = std::min(block, tokens - first);
      const bool add = first > 0;
      Base::find_logits(first, rows, bias);
      block_product({dlogits.row(0), dlogits.ld}, dy.plain(first), {vt.row(0), vt.ld},
                    {.m = rows, .n = vt.ld, .k = s.depth});
      for (int64_t i = 0; i < rows; ++i)
        gradient_row(logits.row(i), dlogits.row(i), statistics[first + i],
                     statistics[tokens + first + i]);
      block_product({dv.row(0), dv.ld}, logits.transposed(), {dy.row(first), dy.ld},
                    {.m = tokens, .n = dy.ld, .k = rows}, {.add = add});
      block_product({dk.row(0), dk.ld}, dlogits.transposed(), {q.row(first), q.ld},
                    {.m = tokens, .n = q.ld, .k = rows}, {.add = add});
      block_product({dq.row(0), dq.ld}, dlogits.plain(), {k.row(0), k.ld},
                    {.m = rows, .n = k.ld, .k = tokens});
      Base::unpack(dqkv, 3 * width, head * s.depth, dq, first, rows, static_cast<A>(s.scale));
      if (sum_bias)
        for (int64_t i = 0; i < rows * dlogits.ld; ++i) bias_sum.row(first)[i] += dlogits.row(0)[i];
    }
    Base::unpack(dqkv, 3 * width, width + head * s.depth, dk, 0, tokens, A(1));
    Base::unpack(dqkv, 3 * width, 2 * width + head * s.depth, dv, 0, tokens, A(1));
  }

  // Moves the sum of dS into a table of relative positions.
  void drain(double* table) {
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t j = 0; j < tokens; ++j) table[s.table_entry(i, j)] += bias_sum.row(i)[j];
    std::fill(bias_sum.data.begin(), bias_sum.data.end(), A(0));
  }
};

}  // namespace

void attention_forward(Tensor y, Tensor statistics, const Tensor& qkv, const Tensor& bias,
                       const AttentionShape& s) {
  dispatch_floating(qkv.dtype(), "attention", [&]<class T>() {
    using A = Accumulate<T>;
    const BiasMatrix<A> matrix(bias, s);
    const auto run = [&](Forward<T>& w, int64_t, int64_t group, int64_t head) {
      w.open(qkv, group, head);
      w.run(y, statistics.data<A>() + 2 * (group * s.heads + head) * s.tokens(), head,
            matrix.of_head(head));
    };
    Tasks(s).each<Forward<T>>(s, run, [](Forward<T>&, int64_t) {});
  });
}

void attention_backward(Tensor dqkv, Tensor dbias, const Tensor& dy, const Tensor& qkv,
                        const Tensor& bias, const Tensor& statistics, const AttentionShape& s) {
  dispatch_floating(qkv.dtype(), "attention", [&]<class T>() {
    using A = Accumulate<T>;
    const BiasMatrix<A> matrix(bias, s);
    const Tasks tasks(s);
    const int64_t entries = dbias.defined() ? dbias.size(0) : 0;
    std::vector<double> tables(static_cast<size_t>(tasks.count * entries), 0.0);
    const auto run = [&](Backward<T>& w, int64_t, int64_t group, int64_t head) {
      w.open(qkv, dy, group, head);
      w.run(dqkv, statistics.data<A>() + 2 * (group * s.heads + head) * s.tokens(), head,
            matrix.of_head(head), entries > 0);
    };
    tasks.each<Backward<T>>(s, run, [&](Backward<T>& w, int64_t task) {
      if (entries > 0) w.drain(tables.data() + task * entries);
    });
    if (entries == 0) return;
    const int64_t columns = dbias.size(1);
    std::vector<double> totals(static_cast<size_t>(tasks.parts * entries * columns), 0.0);
    for (int64_t task = 0; task < tasks.count; ++task) {
      double* const total = totals.data() + task / tasks.of_part() * entries * columns;
      for (int64_t e = 0; e < entries; ++e)
        total[e * columns + task % s.heads % columns] += tables[task * entries + e];
    }
    write_batch_sum(dbias, tasks.parts, totals);
  });
}

LEVEL_END
