// Shared by the parts of the bench program: options, timing, the rows they print.
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/tensor.h"

namespace passband::bench {

using Json = nlohmann::ordered_json;

struct Options {
  std::string op, train, loader;
  // "f32", "tf32" (on a GPU), "bf16" or empty: all for --op, f32 for --train
  std::string precision;
  std::string engine =
      "native";      // of products and convolutions on a GPU: see tensor/core/kernel_source.h
  std::string conv;  // convolutions alone; empty: as engine
  int64_t batch_size = 96, img_size = 32, classes = 10;
  int64_t steps = 12;          // timed training steps; on a GPU, of each of five blocks
  int64_t shuffle_buffer = 0;  // of --loader; 0: pictures are read where they lie
  int threads = 0;             // 0: the physical cores
  std::string device = "cpu";
  bool json = false, peer = false, profile = false;
  bool graph = false;      // on a GPU: the training step as one recorded launch
  std::string peer_modes;  // separated by commas; empty: all
  bool autotune = false;   // the peer also in its mode that takes minutes to compile
};

// Where everything is measured; set once, before anything is.
inline Device measured_device;

struct Timing {
  double min_ms = 0, median_ms = 0;
  int64_t repeats = 0;
};

// Whether that is a real GPU, which works while the host goes on.
bool measures_gpu();
// "f32", "tf32" or "bf16": sets what products may round to, and returns the type of activations.
DType use_precision(const std::string& precision);

// Small normal numbers on that device; one block repeated, because the values do not matter but
// denormals and zeros would.
Tensor random_operand(const Shape& shape, DType dtype);

double round_to(double value, double unit);
double now();  // seconds of a steady clock
double median(std::vector<double> values);

// Calls `f` once to warm up, then repeatedly: at least three times and for about `seconds`. On a
// GPU one time is that of several calls that follow one another without a pause.
Timing measure(const std::function<void()>& f, double seconds = 0.15);

// One operation on one shape. Either `flop` or `bytes` is what bounds it, the other is 0.
struct Case {
  std::string op, shape;
  DType dtype = DType::f32;
  double flop = 0;   // floating-point operations of a call (a multiply-add is two)
  double bytes = 0;  // memory that a call has to move when nothing stays in a cache
  std::function<void()> run;
};

// Names that --op takes, "all" apart, and the cases of one.
std::vector<std::string> operation_names();
std::vector<Case> operation_cases(const std::string& op, DType dtype, int64_t batch);

// Measures the cases of options.op, each between two measurements of the peaks.
Json run_operations(const Options& options);
// Times whole training steps: forward, loss, backward, SGD step, zeroed gradients.
Json run_training(const Options& options);
// The same step in PyTorch's modes (see peer_torch.py) or why there is none; a mode whose first
// loss is not ours has no times. `losses` are those of our first steps.
Json run_peer(const Options& options, const std::string& weights,
              const std::vector<double>& losses);

// How fast the pictures of the folder options.loader are decoded, and made into training batches.
Json run_loader(const Options& options);

// Tables for people, from the same objects that --json prints.
void print_operations(const Json& result);
void print_training(const Json& result);
void print_loader(const Json& result);

}  // namespace passband::bench
