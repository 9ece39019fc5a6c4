// bench: measures operations and whole training steps beside what the machine can do.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "experiments/bench/bench.h"
#include "tensor/core/kernel_source.h"
#include "tensor/core/parallel.h"
#include "tensor/core/standard_streams.h"
#include "tensor/core/text.h"
#include "tensor/cpu/level.h"
#include "tensor/device_choice.h"

namespace passband::bench {

namespace {

constexpr const char* kExamples = R"(examples:
  ./bench                               every operation, then pre-activation ResNet-50 steps
  ./bench --op conv2d --json            convolutions of ResNet-50 and share of the peak
  ./bench --op all --precision bf16 --threads 1
  ./bench --train preact_resnet50 --batch-size 96 --img-size 32 --precision f32 --json
  ./bench --train vit_tiny_patch4 --precision bf16 --profile
  ./bench --train resnet18 --peer       the same step in PyTorch, if python3 can import it
  ./bench --loader FOLDER --img-size 128   pictures decoded and augmented, beside decoding alone

The peaks are measured in the same run: f32 = fused multiply-adds in vector registers; bf16 = the
better of that and vdpbf16ps; matrix = AMX tiles, where there are any.
FLOP of a training step = 6 x the multiply-accumulates of a forward pass.
PASSBAND_PYTHON names the Python of --peer (python3 when unset).
)";

void add_options(CLI::App& app, Options& options) {
  app.footer(kExamples);
  const auto number = [&](const char* flag, int64_t& value, const char* what) {
    app.add_option(flag, value, what)->capture_default_str()->check(CLI::PositiveNumber);
  };
  auto* op =
      app.add_option("--op", options.op, "operation to measure: all, " + join(operation_names()));
  auto* train = app.add_option("--train", options.train, "model whose training step is measured")
                    ->excludes(op);
  auto* loader = app.add_option("--loader", options.loader,
                                "folder of pictures, or tar shards, that are decoded and augmented")
                     ->excludes(op)
                     ->excludes(train);
  app.add_option("--shuffle-buffer", options.shuffle_buffer,
                 "with --loader: shards are read in order, through a buffer of so many pictures")
      ->needs(loader)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--precision", options.precision, "f32, bf16, or on a GPU tf32")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}));
  number("--batch-size", options.batch_size, "images per step");
  number("--img-size", options.img_size, "side of an image; with --loader 128 unless given");
  number("--classes", options.classes, "classes of the model");
  number("--steps", options.steps, "timed training steps");
  app.add_option("--threads", options.threads,
                 "threads (default: OMP_NUM_THREADS, or the physical cores)")
      ->check(CLI::PositiveNumber);
  app.add_option("--device", options.device, "cpu, cuda, cuda:n or cuda-emulated")
      ->capture_default_str();
  app.add_flag("--graph", options.graph, "on a GPU, with --train: the step as one recorded launch");
  app.add_option(
         "--engine", options.engine,
         "on a GPU: products and convolutions by native kernels, library, or auto (the faster)")
      ->capture_default_str();
  app.add_option("--conv", options.conv,
                 "convolutions alone: as --engine, or onednn (on the processor)");
  app.add_flag("--json", options.json, "print one JSON document instead of tables");
  app.add_flag("--profile", options.profile, "with --train: milliseconds per kernel of one step");
  auto* peer = app.add_flag("--peer", options.peer, "with --train: compare with PyTorch");
  app.add_option("--peer-modes", options.peer_modes,
                 "modes of PyTorch, separated by commas (default: all; see peer_torch.py)")
      ->needs(peer);
  app.add_flag("--autotune", options.autotune,
               "with --peer on a GPU: also max-autotune, which takes minutes")
      ->needs(peer);
}

void show(const Json& result, bool json, void (*print)(const Json&)) {
  if (json) fmt::print("{}\n", result.dump(1));
  else print(result);
}

void run(Options options) {
  if (options.threads > 0) set_thread_count(options.threads);
  if (!options.op.empty()) {
    const Json result = run_operations(options);
    if (options.json) fmt::print("{}\n", result.dump(1));
    return;
  }
  if (!options.loader.empty()) return show(run_loader(options), options.json, print_loader);
  if (!options.train.empty()) return show(run_training(options), options.json, print_training);
  options.op = "all";
  const Json operations = run_operations(options);
  Json training = Json::array();
  options.train = "preact_resnet50";
  for (const char* precision : {"f32", "bf16"}) {
    options.precision = precision;
    training.push_back(run_training(options));
    if (!options.json) print_training(training.back());
  }
  if (options.json)
    fmt::print("{}\n", Json{{"operations", operations}, {"training", training}}.dump(1));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures operations and training steps beside the machine's own peaks."};
  Options options;
  add_options(app, options);
  try {
    app.parse(argc, argv);
    if (!options.loader.empty() && app.count("--img-size") == 0) options.img_size = 128;
    cpu::level();  // a wrong PASSBAND_ISA ends here
    if (options.device == "cuda-emulated" && cuda_backend() != CudaBackend::emulated)
      run_emulated_sibling(argv);
    measured_device = choose_device(options.device);
    if (options.precision == "tf32" && !measured_device.is_cuda())
      throw UsageError("--precision tf32 needs a GPU: try --device cuda, or --precision f32");
    const KernelSource engine = kernel_source_from(options.engine);
    set_product_kernels(engine);
    set_conv_kernels(kernel_source_here(
        options.conv.empty() ? engine : kernel_source_from(options.conv), measured_device));
    run(options);
    return code_after_output(0);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "bench: {}; --help shows all options\n", error.what());
    return 2;
  } catch (const UsageError& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 2;
  } catch (const OutOfMemory& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 5;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}

}  // namespace passband::bench

int main(int argc, char** argv) {
  passband::prepare_standard_streams();
  return passband::bench::main(argc, argv);
}
