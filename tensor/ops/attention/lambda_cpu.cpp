// The lambda layer on the CPU: images in parallel, each a row of queries at a time. The content
// part is the same for both orders: y = q (sum over positions of softmax(k) v + bias), three small
// products.
#include "tensor/core/parallel.h"
#include "tensor/cpu/batch_join.h"
#include "tensor/ops/attention/lambda_lambda_first.h"
#include "tensor/ops/attention/lambda_score_first.h"

LEVEL_BEGIN
namespace {

// Images whose gradients of the embedding are summed together: a function of the batch alone, or of
// its parts where sums over it are cut.
struct Chunks {
  int64_t parts, images, size, count;
  explicit Chunks(const LambdaShape& s)
      : parts(batch_parts_of(s.batch)),
        images(s.batch / parts),
        size((images + 31) / 32),
        count((images + size - 1) / size * parts) {}
  int64_t part(int64_t chunk) const { return chunk / (count / parts); }
  int64_t begin(int64_t chunk) const {
    return part(chunk) * images + chunk % (count / parts) * size;
  }
  int64_t end(int64_t chunk) const {
    return std::min((part(chunk) + 1) * images, begin(chunk) + size);
  }
};

template <class T, class F> void dispatch_order(const LambdaShape& s, F&& f) {
  if (s.order == LambdaOrder::lambda_first) return f.template operator()<LambdaFirst<T>>();
  f.template operator()<ScoreFirst<T>>();
}

template <class T, class Order, class A = Accumulate<T>>
void forward_image(LambdaImage<T>& image, Order& order, Tensor& y, const LambdaTensors& x,
                   int64_t index) {
  const LambdaShape& s = image.s;
  image.open(x, index);
  for (int64_t row = 0; row < s.height; ++row) {
    image.pack(image.q, image.k_line, x.q, row, s.depth);
    block_product({image.y.data(), image.v_line}, Strided<A>{image.q.data(), image.k_line, 1},
                  {image.content.data(), image.v_line},
                  {.m = s.heads * s.width, .n = image.v_line, .k = s.depth});
    order.forward(image, row);
    image.unpack(y, image.y, image.v_line, row, s.value);
  }
}

// dcontent is complete: adds its part to dvalues and dbias and writes dkeys.
template <class T, class A = Accumulate<T>>
void close_content(LambdaImage<T>& image, LambdaGradients<A>& g, LambdaTensors& dx) {
  const LambdaShape& s = image.s;
  const int64_t n = image.n, columns = s.intra * s.depth;
  for (int64_t k = 0; k < s.depth; ++k)
    for (int64_t v = 0; v < s.value; ++v) g.dbias[k] += g.dcontent[k * image.v_line + v];
  Memory<A> dcontent_t = zeros<A>(image.v_line * image.k_line),
            dsoftmax = zeros<A>(n * image.k_line);
  for (int64_t k = 0; k < s.depth; ++k)
    for (int64_t v = 0; v < s.value; ++v)
      dcontent_t[v * image.k_line + k] = g.dcontent[k * image.v_line + v];
  for (int64_t u = 0; u < s.intra; ++u) {
    block_product({g.dvalues.data() + u * n * image.v_line, image.v_line},
                  Strided<A>{image.softmax.data() + u * s.depth, columns, 1},
                  {g.dcontent.data(), image.v_line}, {.m = n, .n = image.v_line, .k = s.depth},
                  {.add = true});
    block_product({dsoftmax.data(), image.k_line},
                  Strided<A>{image.values.data() + u * n * image.v_line, image.v_line, 1},
                  {dcontent_t.data(), image.k_line}, {.m = n, .n = image.k_line, .k = s.value});
    // dk = p (dp - sum over positions of p dp), per column.
    for_vectors<A>(0, s.depth, [&](int64_t c, int count) {
      const A* p = image.softmax.data() + u * s.depth + c;
      Vec<A> inner{};
      for (int64_t m = 0; m < n; ++m)
        inner += load(p + m * columns, count) * load(dsoftmax.data() + m * image.k_line + c);
      T* dk = dx.keys.data<T>() + image.image * n * columns + u * s.depth + c;
      for (int64_t m = 0; m < n; ++m)
        store(dk + m * columns,
              load(p + m * columns, count) * (load(dsoftmax.data() + m * image.k_line + c) - inner),
              count);
    });
  }
}

template <class T, class Order, class A = Accumulate<T>>
void backward_image(LambdaImage<T>& image, Order& order, LambdaGradients<A>& g, LambdaTensors& dx,
                    const Tensor& dy, const LambdaTensors& x, int64_t index) {
  const LambdaShape& s = image.s;
  const int64_t queries = s.heads * s.width;
  image.open(x, index);
  order.open(image);
  std::fill(g.dvalues.begin(), g.dvalues.end(), A(0));
  for (int64_t k = 0; k < s.depth; ++k)
    for (int64_t v = 0; v < s.value; ++v)
      g.content_t[v * image.k_line + k] = image.content[k * image.v_line + v];
  for (int64_t row = 0; row < s.height; ++row) {
    image.pack(image.q, image.k_line, x.q, row, s.depth);
    image.pack(g.dy, image.v_line, dy, row, s.value);
    block_product({g.dq.data(), image.k_line}, Strided<A>{g.dy.data(), image.v_line, 1},
                  {g.content_t.data(), image.k_line},
                  {.m = queries, .n = image.k_line, .k = s.value});
    block_product({g.dcontent.data(), image.v_line}, Strided<A>{image.q.data(), 1, image.k_line},
                  {g.dy.data(), image.v_line}, {.m = s.depth, .n = image.v_line, .k = queries},
                  {.add = row > 0});
    order.backward(image, g, row);
    image.unpack(dx.q, g.dq, image.k_line, row, s.depth);
  }
  close_content(image, g, dx);
  for (int64_t u = 0; u < s.intra; ++u)
    for (int64_t m = 0; m < image.n; ++m)
      for_vectors<A>(0, s.value, [&](int64_t c, int count) {
        T* out = dx.values.data<T>() + ((image.image * image.n + m) * s.intra + u) * s.value + c;
        store(out, load(g.dvalues.data() + (u * image.n + m) * image.v_line + c), count);
      });
}

int64_t image_work(const LambdaShape& s) {
  return s.positions() * s.heads * (2 * s.reach_y() + 1) * (2 * s.reach_x() + 1);
}

}  // namespace

void lambda_forward(Tensor y, const LambdaTensors& x, const LambdaShape& s) {
  dispatch_floating(x.q.dtype(), "lambda_layer", [&]<class T>() {
    dispatch_order<T>(s, [&]<class Order>() {
      const KernelCells<Accumulate<T>> cells(x.embedding, s);
      parallel_for(s.batch, grain_for(image_work(s)), [&](int64_t begin, int64_t end) {
        LambdaImage<T> image(s, cells, x.embedding_bias);
        Order order(s, cells);
        for (int64_t i = begin; i < end; ++i) forward_image(image, order, y, x, i);
      });
    });
  });
}

void lambda_backward(LambdaTensors dx, const Tensor& dy, const LambdaTensors& x,
                     const LambdaShape& s) {
  dispatch_floating(x.q.dtype(), "lambda_layer", [&]<class T>() {
    using A = Accumulate<T>;
    const KernelCells<A> cells(x.embedding, s);
    const Chunks chunks(s);
    std::vector<Memory<A>> dcells(static_cast<size_t>(chunks.count));
    std::vector<std::vector<double>> dbias(static_cast<size_t>(chunks.count));
    dispatch_order<T>(s, [&]<class Order>() {
      parallel_for(chunks.count, grain_for(chunks.size * image_work(s)),
                   [&](int64_t begin, int64_t end) {
                     LambdaImage<T> image(s, cells, x.embedding_bias);
                     Order order(s, cells);
                     for (int64_t c = begin; c < end; ++c) {
                       LambdaGradients<A> g(image);
                       for (int64_t i = chunks.begin(c); i < chunks.end(c); ++i)
                         backward_image(image, order, g, dx, dy, x, i);
                       dcells[c] = std::move(g.dcells);
                       dbias[c] = std::move(g.dbias);
                     }
                   });
    });
    const int64_t entries = s.table_size() * s.depth * s.intra;
    std::vector<double> tables(static_cast<size_t>(chunks.parts * entries), 0.0);
    std::vector<double> biases(static_cast<size_t>(chunks.parts * s.depth), 0.0);
    for (int64_t c = 0; c < chunks.count; ++c) {
      double* const table = tables.data() + chunks.part(c) * entries;
      cells.for_entries(s, [&](int64_t u, int64_t row, int64_t column, int64_t k, int64_t entry) {
        table[entry] +=
            dcells[c][((u * cells.rows + row) * cells.columns + column) * cells.lines + k];
      });
      for (int64_t k = 0; k < s.depth; ++k) biases[chunks.part(c) * s.depth + k] += dbias[c][k];
    }
    if (dx.embedding.defined()) write_batch_sum(dx.embedding, chunks.parts, tables);
    if (dx.embedding_bias.defined()) write_batch_sum(dx.embedding_bias, chunks.parts, biases);
  });
}

LEVEL_END
