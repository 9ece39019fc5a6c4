// The network that shapes_cnn.cpp trains and classify.cpp loads.
#pragma once
#include <passband/passband.h>

constexpr int64_t kClasses = 4;

// Three convolutions, each with batch norm and ReLU, and a classifier of the mean over all places.
struct ShapesNetwork {
  passband::ParameterStore store;
  passband::Scope root{store};
  passband::Conv2d conv1{root / "conv1", 3, 16, {.stride = 2}};
  passband::Conv2d conv2{root / "conv2", 16, 32, {.stride = 2}};
  passband::Conv2d conv3{root / "conv3", 32, 64, {.stride = 2}};
  passband::BatchNorm norm1{root / "norm1", 16}, norm2{root / "norm2", 32},
      norm3{root / "norm3", 64};
  passband::Linear classify{root / "classify", 64, kClasses};

  ShapesNetwork() { store.build(/*seed=*/1); }

  // images (N, H, W, 3), normalised -> logits (N, classes)
  passband::Tensor operator()(const passband::Tensor& images) const {
    const passband::Tensor x = norm2.relu(conv2(norm1.relu(conv1(images))));
    return classify(passband::mean(norm3.relu(conv3(x)), {1, 2}));
  }
};
