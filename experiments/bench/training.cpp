// Whole training steps, in blocks of at most two seconds between measurements of the machine's
// peaks.
#include <cmath>
#include <filesystem>
#include <limits>

#include "experiments/bench/bench.h"
#include "experiments/bench/peak.h"
#include "models/model.h"
#include "models/weights.h"
#include "tensor/autograd/engine.h"
#include "tensor/core/asynchronous.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/parallel.h"
#include "tensor/core/profile.h"
#include "tensor/core/random.h"
#include "tensor/cpu/caches.h"
#include "tensor/cpu/level.h"
#include "tensor/device_choice.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/training/optimizer.h"

namespace passband::bench {
namespace {

constexpr double kBlockSeconds = 2;
constexpr int kPeerSteps = 3;
constexpr int kGpuBlocks = 5;
constexpr double kGpuWarmSeconds = 3;
constexpr SgdOptions kSgd = {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};

// A model and one fixed batch of random pictures.
class TrainingStep {
 public:
  TrainingStep(const Options& options, DType compute)
      : model_(make_model(
            options.train,
            {.classes = options.classes, .image_size = options.img_size, .drop_path = 0})),
        compute_(compute) {
    images_ = Tensor::empty({options.batch_size, options.img_size, options.img_size, 3});
    labels_ = Tensor::empty({options.batch_size}, DType::i32);
    const RandomKey key{.site = site_of("bench.images")};
    float* pixels = images_.data<float>();
    for (int64_t i = 0; i < images_.numel(); ++i)
      pixels[i] = random_normal(key, static_cast<uint64_t>(i));
    int32_t* labels = labels_.data<int32_t>();
    for (int64_t i = 0; i < labels_.numel(); ++i)
      labels[i] = static_cast<int32_t>(i * 7 % options.classes);
    model_->to(measured_device);
    images_ = images_.to(measured_device);
    labels_ = labels_.to(measured_device);
    momentum_ = Tensor::zeros_like(model_->store().values());
    // as train does
    if (compute == DType::bf16 && measured_device.is_cuda()) model_->store().keep_half();
    if (options.graph) recording_ = make_recording(measured_device);
  }

  // Gives a step to the device, which may still be at it when this returns.
  void operator()() {
    const auto work = [this] { step(); };
    if (recording_) recording_->run(work);
    else work();
    ++steps_;
  }
  // Of the last step, before its update; waits for it.
  double loss() const { return loss_.item(); }

  const Model& model() const { return *model_; }
  Tensor images() const { return images_; }
  Tensor labels() const { return labels_; }

 private:
  void step() {
    ContextGuard mode({.training = true, .step = steps_, .compute = compute_});
    ParameterStore& store = model_->store();
    loss_ = {};
    const Tensor loss = cross_entropy((*model_)(images_), labels_);
    loss_ = loss.detach();
    backward(loss);
    sgd_step(store.values(), momentum_, store.gradients(), store.decay_mask(), kSgd,
             {.half = store.half_values()});
    store.touch_with_half();
    store.zero_gradients();
  }

  std::unique_ptr<Model> model_;
  std::unique_ptr<Recording> recording_;
  DType compute_;
  Tensor images_, labels_, momentum_, loss_;
  uint64_t steps_ = 0;
};

struct Peaks {
  double f32 = 0, vector = 0, matrix = 0;

  static Peaks sample(const std::string& precision) {
    Peaks p;
    if (measured_device.is_cuda()) {
      p.vector = device_product_rate(precision);
      return p;
    }
    p.f32 = f32_peak(0.1);
    // bf16 work may also be done by widening to f32, so its vector peak is the better of the two.
    p.vector = precision == "bf16" ? std::max(p.f32, bf16_peak(0.1)) : p.f32;
    p.matrix = precision == "bf16" ? matrix_peak(0.1) : 0;
    return p;
  }
};

struct Block {
  std::vector<double> seconds;   // of its steps; on a GPU their mean
  std::vector<double> own_time;  // processor seconds of its steps
  double peak = 0;               // mean of the vector peaks before and after
};

// Steps until `steps` are done and at least three blocks are; a block ends after kBlockSeconds.
std::vector<Block> run_blocks(TrainingStep& step, const Options& options, Peaks& best) {
  std::vector<Block> blocks;
  // an emulator's times say nothing
  const double length = measured_device.is_cuda() ? 0 : kBlockSeconds;
  Peaks before = Peaks::sample(options.precision);
  for (int64_t done = 0; done < options.steps || blocks.size() < 3;) {
    Block block;
    for (const double end = now() + length;
         block.seconds.empty() || now() + block.seconds.back() < end;) {
      const double begin = now(), used = processor_seconds();
      step();
      step.loss();
      block.seconds.push_back(now() - begin);
      block.own_time.push_back(processor_seconds() - used);
      ++done;
    }
    const Peaks after = Peaks::sample(options.precision);
    block.peak = (before.vector + after.vector) / 2;
    best = {std::max({best.f32, before.f32, after.f32}),
            std::max({best.vector, before.vector, after.vector}),
            std::max({best.matrix, before.matrix, after.matrix})};
    before = after;
    blocks.push_back(std::move(block));
  }
  return blocks;
}

// A GPU is given all steps of a block at once and waited for at its end, after some seconds in
// which its clocks settle.
std::vector<Block> run_gpu_blocks(TrainingStep& step, const Options& options, Peaks& best) {
  best = Peaks::sample(options.precision);
  for (const double end = now() + kGpuWarmSeconds; now() < end; step.loss()) step();
  std::vector<Block> blocks;
  for (int i = 0; i < kGpuBlocks; ++i) {
    synchronize(measured_device);
    const double begin = now();
    for (int64_t n = 0; n < options.steps; ++n) step();
    synchronize(measured_device);
    blocks.push_back({.seconds = {(now() - begin) / static_cast<double>(options.steps)},
                      .own_time = {},
                      .peak = best.vector});
  }
  return blocks;
}

// The share of the peak in each block whose surroundings reached 95 % of the best peak; their
// median.
double median_share(const std::vector<Block>& blocks, double flop, double best_peak) {
  std::vector<double> shares;
  for (const Block& block : blocks)
    if (block.peak >= 0.95 * best_peak)
      shares.push_back(flop / median(block.seconds) / 1e9 / block.peak);
  return shares.empty() ? 0 : median(shares);
}

// The least processor time of a step, and its share of what the threads would do in this time:
// numbers that other programs on the machine hardly change.
void add_own_time(Json& result, const std::vector<Block>& blocks, double flop) {
  double least = std::numeric_limits<double>::infinity();
  for (const Block& block : blocks)
    for (const double seconds : block.own_time) least = std::min(least, seconds);
  const bool bf16 = result["precision"] == "bf16";
  const double peak = std::max(undisturbed_peak(bf16, 0.2), undisturbed_peak(bf16, 0.2));
  result["step_processor_ms"] = round_to(least * 1e3, 1e-3);
  result["share_of_processor_peak"] = round_to(flop / least / 1e9 / (peak / thread_count()), 1e-4);
}

Json profile_of(TrainingStep& step) {
  start_profile();
  const double begin = now();
  step();
  step.loss();
  const double total = now() - begin;
  Json rows = Json::array();
  double counted = 0;
  for (const KernelTime& time : stop_profile()) {
    counted += time.seconds;
    rows.push_back({{"kernel", time.kernel},
                    {"calls", time.calls},
                    {"ms", round_to(time.seconds * 1e3, 0.01)}});
  }
  rows.push_back({{"kernel", "(outside kernels)"},
                  {"calls", 1},
                  {"ms", round_to((total - counted) * 1e3, 0.01)}});
  return rows;
}

// The weights, pictures and labels of the first step, for another program to start from.
std::string export_start(const TrainingStep& step) {
  const auto path = std::filesystem::temp_directory_path() /
                    concat_text("passband-bench-", getpid(), ".safetensors");
  save_weights(path.string(), step.model());
  write_safetensors(path.string() + ".batch",
                    {{"images", step.images()}, {"labels", step.labels()}});
  return path.string();
}

// PyTorch's times for the same step, and how many times ours they are.
Json compare(const Options& options, const std::string& exported, const std::vector<double>& losses,
             double fastest_seconds) {
  Json peer = run_peer(options, exported, losses);
  std::filesystem::remove(exported);
  std::filesystem::remove(exported + ".batch");
  if (peer.contains("modes"))
    for (Json& mode : peer["modes"])
      if (mode.contains("step_ms"))
        mode["ratio"] = round_to(mode["step_ms"].get<double>() / (fastest_seconds * 1e3), 1e-3);
  return peer;
}

}  // namespace

Json run_training(const Options& given) {
  Options options = given;
  if (options.precision.empty()) options.precision = "f32";
  TrainingStep step(options, use_precision(options.precision));
  const std::string exported = options.peer ? export_start(step) : std::string();
  std::vector<double> losses;
  for (int i = 0; i < kPeerSteps; ++i) {  // warm-up as well
    step();
    losses.push_back(step.loss());
  }

  Peaks best;
  const std::vector<Block> blocks =
      measures_gpu() ? run_gpu_blocks(step, options, best) : run_blocks(step, options, best);
  std::vector<double> seconds;
  for (const Block& block : blocks)
    seconds.insert(seconds.end(), block.seconds.begin(), block.seconds.end());
  const double fastest = std::ranges::min(seconds), typical = median(seconds);
  const auto batch = static_cast<double>(options.batch_size);
  const double flop = 6.0 * static_cast<double>(step.model().macs()) * batch;

  Json result = {
      {"model", step.model().name()},
      {"precision", options.precision},
      {"batch_size", options.batch_size},
      {"img_size", options.img_size},
      {"threads", thread_count()},
      {"device", describe_device(measured_device)},
      {"isa", name_of(cpu::level())},
      {"second_level_cache_kib", cpu::second_level_cache() >> 10},
      {"graph", options.graph},
      {"engine", options.engine},
      {"conv", name_of(conv_kernels())},
      {"gmacs_per_image", round_to(static_cast<double>(step.model().macs()) / 1e9, 1e-4)},
      {"steps", measures_gpu() ? kGpuBlocks * options.steps : static_cast<int64_t>(seconds.size())},
      {"step_ms", round_to(fastest * 1e3, 1e-3)},
      {"step_ms_median", round_to(typical * 1e3, 1e-3)},
      {"step_ms_max", round_to(std::ranges::max(seconds) * 1e3, 1e-3)},
      {"images_per_s", round_to(batch / fastest, 0.01)},
      {"images_per_s_median", round_to(batch / typical, 0.01)},
      {"gflops", round_to(flop / fastest / 1e9, 0.1)},
      {"peak_gflops", round_to(best.vector, 0.1)},
      {"peak_of", measured_device.is_cuda() ? "a large product here" : "vector registers here"},
      {"share_of_peak", round_to(flop / fastest / 1e9 / best.vector, 1e-4)},
      {"share_of_peak_median", round_to(median_share(blocks, flop, best.vector), 1e-4)}};
  if (!measures_gpu()) add_own_time(result, blocks, flop);
  if (best.f32 > 0) result["f32_peak_gflops"] = round_to(best.f32, 0.1);
  if (best.matrix > 0) {
    result["matrix_peak_gflops"] = round_to(best.matrix, 0.1);
    result["share_of_matrix_peak"] = round_to(flop / fastest / 1e9 / best.matrix, 1e-4);
  }
  result["peak_memory_mb"] = memory_statistics(measured_device).peak_bytes >> 20;
  result["losses"] = losses;
  if (options.profile) result["profile"] = profile_of(step);
  if (options.peer) result["peer"] = compare(options, exported, losses, fastest);
  return result;
}

}  // namespace passband::bench
