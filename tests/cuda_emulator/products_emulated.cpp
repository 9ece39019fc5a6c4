// What stands in for cuBLASLt and cuDNN in the emulated build: the same functions as plain loops,
// on the stream.
#include "tensor/cuda/stream.h"
#include "tensor/ops/library_products.h"
#include "tensor/ops/pointwise_functors.h"
#include "tests/cuda_emulator/controls.h"

namespace passband::cuda {
namespace {

// Calls `work` when the stream gets there; it fills those of `results` that are defined.
template <class F> void on_stream(std::vector<Tensor> results, F work) {
  emulator::enqueue_library_call(compute_stream(), [=]() mutable {
    work();
    for (Tensor& result : results)
      if (result.defined())
        emulator::mark_written(result.raw(),
                               static_cast<size_t>(result.numel() * size_of(result.dtype())));
  });
}

// Calls put(element of c, what it is before it is rounded) for every element.
template <class T, class Put> void multiply(const Tensor& a, const Tensor& b, const Epilogue& e,
                                            const ProductShape& s, Put&& put) {
  const T *pa = a.data<T>(), *pb = b.data<T>();
  for (int64_t i = 0; i < s.batch * s.m * s.n; ++i) {
    const int64_t batch = i / (s.m * s.n), row = i / s.n % s.m, column = i % s.n;
    Accumulate<T> sum = 0;
    for (int64_t k = 0; k < s.k; ++k) {
      const T left = pa[batch * s.m * s.k + (s.transpose_a ? k * s.m + row : row * s.k + k)];
      const T right = pb[batch * s.k * s.n + (s.transpose_b ? column * s.k + k : k * s.n + column)];
      sum += static_cast<Accumulate<T>>(left) * static_cast<Accumulate<T>>(right);
    }
    if (e.bias.defined()) sum += static_cast<Accumulate<T>>(e.bias.data<T>()[column]);
    if (e.residual.defined()) sum += static_cast<Accumulate<T>>(e.residual.data<T>()[i]);
    put(i, sum);
  }
}

// Calls product(element of y, element of x, element of w) for every product that a convolution
// sums.
template <class F> void for_products(const ConvGeometry& g, F&& product) {
  const WindowAxis &vertical = g.rows, &horizontal = g.columns;
  for (int64_t y = 0; y < g.pixels() * g.o; ++y) {
    const int64_t o = y % g.o, pixel = y / g.o, image = pixel / (g.ho * g.wo), group = o / g.co;
    for (int64_t j = 0; j < g.patch(); ++j) {
      const int64_t row = pixel / g.wo % g.ho * vertical.stride - vertical.before +
                          j / g.ci / g.kw * vertical.dilation;
      const int64_t column = pixel % g.wo * horizontal.stride - horizontal.before +
                             j / g.ci % g.kw * horizontal.dilation;
      if (row < 0 || row >= g.h || column < 0 || column >= g.w) continue;
      product(y, ((image * g.h + row) * g.w + column) * g.c + group * g.ci + j % g.ci,
              o * g.patch() + j);
    }
  }
}

enum class Role : uint8_t { y, x, w };

// result[its element] += left * right over all products, where the roles say which tensor is which.
template <class T> void sum_products(const ConvGeometry& g, Tensor result, Role role,
                                     const Tensor& left, Role left_role, const Tensor& right,
                                     Role right_role, const Tensor& bias) {
  using A = Accumulate<T>;
  std::vector<A> sums(static_cast<size_t>(result.numel()));
  const T *pl = left.data<T>(), *pr = right.data<T>();
  for_products(g, [&](int64_t y, int64_t x, int64_t w) {
    const int64_t at[] = {y, x, w};
    const auto place = [&](Role r) { return at[static_cast<int>(r)]; };
    sums[static_cast<size_t>(place(role))] +=
        static_cast<A>(pl[place(left_role)]) * static_cast<A>(pr[place(right_role)]);
  });
  for (size_t i = 0; i < sums.size(); ++i) {
    if (bias.defined())
      sums[i] += static_cast<A>(bias.data<T>()[static_cast<int64_t>(i) % bias.numel()]);
    result.data<T>()[i] = static_cast<T>(sums[i]);
  }
}

bool convolve(const ConvGeometry& g, const Tensor& result, Role role, const Tensor& left,
              Role left_role, const Tensor& right, Role right_role, const Tensor& bias = {}) {
  on_stream({result}, [=]() mutable {
    dispatch_floating(result.dtype(), "conv2d", [&]<class T>() {
      sum_products<T>(g, result, role, left, left_role, right, right_role, bias);
    });
  });
  return true;
}

}  // namespace

bool library_matmul(Tensor c, const Tensor& a, const Tensor& b, const Epilogue& e,
                    const ProductShape& s) {
  on_stream({c}, [=]() mutable {
    dispatch_floating(c.dtype(), "matmul", [&]<class T>() {
      multiply<T>(a, b, e, s, [&](int64_t i, auto sum) { c.data<T>()[i] = static_cast<T>(sum); });
    });
  });
  return true;
}

bool library_linear_gelu(Tensor y, Tensor h, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const ProductShape& s) {
  on_stream({y, h}, [=]() mutable {
    dispatch_floating(y.dtype(), "mlp", [&]<class T>() {
      multiply<T>(x, weight, {.bias = bias}, s, [&](int64_t i, auto sum) {
        if (h.defined()) h.data<T>()[i] = static_cast<T>(sum);
        y.data<T>()[i] = static_cast<T>(fn::GeluTanh{}(sum));
      });
    });
  });
  return true;
}

bool library_gelu_gradient(Tensor dh, Tensor dbias, const Tensor& dy, const Tensor& weight,
                           const Tensor& h, const ProductShape& s) {
  on_stream({dh, dbias}, [=]() mutable {
    dispatch_floating(dh.dtype(), "mlp", [&]<class T>() {
      std::vector<double> sums(static_cast<size_t>(s.n));
      multiply<T>(dy, weight, {}, s, [&](int64_t i, auto sum) {
        const auto gradient =
            fn::GeluTanh{}.backward(static_cast<decltype(sum)>(h.data<T>()[i]), sum);
        dh.data<T>()[i] = static_cast<T>(gradient);
        sums[static_cast<size_t>(i % s.n)] += static_cast<double>(gradient);
      });
      for (int64_t i = 0; dbias.defined() && i < s.n; ++i)
        dbias.data<T>()[i] =
            static_cast<T>(static_cast<Accumulate<T>>(sums[static_cast<size_t>(i)]));
    });
  });
  return true;
}

bool library_conv2d_forward(Tensor y, const Tensor& x, const Tensor& w, const Tensor& bias,
                            const ConvGeometry& g) {
  return convolve(g, y, Role::y, x, Role::x, w, Role::w, bias);
}

bool library_conv2d_backward_input(Tensor dx, const Tensor& dy, const Tensor& w,
                                   const ConvGeometry& g) {
  return convolve(g, dx, Role::x, dy, Role::y, w, Role::w);
}

bool library_conv2d_backward_weight(Tensor dw, const Tensor& dy, const Tensor& x,
                                    const ConvGeometry& g) {
  return convolve(g, dw, Role::w, dy, Role::y, x, Role::x);
}

}  // namespace passband::cuda
