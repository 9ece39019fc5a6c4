// How fast the pictures of a folder, or of tar shards, become batches, beside stb_image on one
// thread in the same run.
#include <time.h>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "data/augment.h"
#include "data/image.h"
#include "data/loader.h"
#include "experiments/bench/bench.h"
#include "tensor/core/parallel.h"

namespace passband::bench {
namespace {

constexpr int kRounds = 7;
constexpr int64_t kMostPictures = 512;  // of a round

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// One thing that is done with all pictures of a round, and the times of the rounds.
struct Way {
  std::string stage;
  int threads;
  std::function<void()> run;
  std::function<void()> prepare = [] {};  // before each round, untimed
  std::vector<double> seconds = {}, processor = {};

  void measure() {
    prepare();
    const double begin = now(), used = processor_seconds();
    run();
    seconds.push_back(now() - begin);
    processor.push_back(processor_seconds() - used);
  }
  double best_rate(double pictures) const { return pictures / std::ranges::min(seconds); }
  // Of one core that does nothing else: what other programs take of it does not count.
  double rate_per_core(double pictures) const { return pictures / std::ranges::min(processor); }
};

Dataset pictures_of(const Options& options) {
  DataSplits splits =
      load_dataset({.name = options.loader, .image_size = options.img_size, .training = false});
  Dataset data = std::move(splits.train.count > 0 ? splits.train : splits.test);
  if (!data.streamed())
    throw UsageError(options.loader + ": bench --loader takes a folder of pictures, or tar shards");
  return data;
}

std::vector<int> thread_counts() {
  std::vector<int> counts;
  for (int t = 1; t < thread_count(); t *= 2) counts.push_back(t);
  counts.push_back(thread_count());
  return counts;
}

class LoaderBench {
 public:
  explicit LoaderBench(const Options& options)
      : options_(options), data_(pictures_of(options)), chosen_(epoch_order(data_.count, 0, 0)) {
    chosen_.resize(static_cast<size_t>(std::min(kMostPictures, data_.count)));
  }

  Json run() {
    ways_.push_back({"stb decode", 1, [this] { decode(PictureDecoder::stb, 1); }});
    for (const int threads : thread_counts()) {
      ways_.push_back(
          {"decode", threads, [this, threads] { decode(PictureDecoder::fastest, threads); }});
      ways_.push_back({"decode + augment", threads, [this, threads] { augment(threads); }});
      loaders_.push_back(std::make_unique<BatchLoader>(data_, loader_options(threads)));
      BatchLoader& loader = *loaders_.back();
      ways_.push_back({"loader", threads, [this, &loader] { load(loader); },
                       [this, &loader] { start(loader); }});
    }
    for (Way& way : ways_) way.measure();  // the files come into memory
    for (Way& way : ways_) way.seconds.clear(), way.processor.clear();
    for (int round = 0; round < kRounds; ++round)
      for (Way& way : ways_) way.measure();
    return result();
  }

 private:
  void decode(PictureDecoder decoder, int threads) const {
    for_each_index(
        std::ssize(chosen_),
        [&](int64_t i) {
          const int64_t index = chosen_[static_cast<size_t>(i)];
          data_.files.open(index).decode(decoder);
        },
        threads);
  }

  void augment(int threads) {
    const int64_t size = options_.img_size;
    batch_.resize(static_cast<size_t>(options_.batch_size * size * size * 3));
    const std::span<const int64_t> all(chosen_);
    const auto most = static_cast<size_t>(options_.batch_size);
    for (size_t first = 0; first < all.size(); first += most)
      make_train_batch(data_, all.subspan(first, std::min(most, all.size() - first)),
                       {.resized_crop = true}, augment_key(0, 0), size, batch_.data(), threads);
  }

  LoaderOptions loader_options(int threads) const {
    return {.batch_size = options_.batch_size,
            .image_size = options_.img_size,
            .augment = {.resized_crop = true},
            .threads = threads,
            .shuffle_buffer = options_.shuffle_buffer};
  }

  // The batch that is taken leaves room for another, which the loader begins: a round makes as many
  // as it takes. A loader stands still between its rounds, with one batch ready.
  static void start(BatchLoader& loader) {
    loader.seek({0, 0});
    loader.next();
  }

  void load(BatchLoader& loader) const {
    for (int64_t taken = 0; taken < std::ssize(chosen_);) taken += loader.next().size;
  }

  // The way that does nothing but decode, on as many threads.
  const Way& decoding(int threads) const {
    return *std::ranges::find_if(
        ways_, [&](const Way& way) { return way.stage == "decode" && way.threads == threads; });
  }

  Json result() const {
    const auto n = static_cast<double>(chosen_.size());
    const Way& stb = ways_.front();
    Json rows = Json::array();
    for (const Way& way : ways_)
      rows.push_back(
          {{"stage", way.stage},
           {"threads", way.threads},
           {"pictures_per_s", round_to(way.best_rate(n), 1)},
           {"pictures_per_s_median", round_to(n / median(way.seconds), 1)},
           {"pictures_per_core_s", round_to(way.rate_per_core(n), 1)},
           {"per_core_of_stb", round_to(way.rate_per_core(n) / stb.rate_per_core(n), 0.01)},
           {"per_core_of_decode",
            round_to(way.rate_per_core(n) / decoding(way.threads).rate_per_core(n), 0.001)}});
    return {{"folder", options_.loader},
            {"pictures", data_.count},
            {"img_size", options_.img_size},
            {"shuffle_buffer", options_.shuffle_buffer},
            {"batch_size", options_.batch_size},
            {"decoder", jpeg_turbo_version() ? "libjpeg-turbo " + *jpeg_turbo_version() : "stb"},
            {"pictures_a_round", chosen_.size()},
            {"n", kRounds},
            {"results", rows}};
  }

  const Options& options_;
  Dataset data_;
  std::vector<int64_t> chosen_;
  std::vector<float> batch_;
  std::vector<std::unique_ptr<BatchLoader>> loaders_;
  std::vector<Way> ways_;
};

}  // namespace

Json run_loader(const Options& options) { return LoaderBench(options).run(); }

void print_loader(const Json& r) {
  fmt::print("{}: {} pictures, JPEG by {}, {} x {} pixels out; {} rounds of {}\n",
             r["folder"].get<std::string>(), r["pictures"].get<int64_t>(),
             r["decoder"].get<std::string>(), r["img_size"].get<int64_t>(),
             r["img_size"].get<int64_t>(), r["n"].get<int>(), r["pictures_a_round"].get<int64_t>());
  fmt::print("{:<18} {:>7} {:>11} {:>9} {:>16} {:>9} {:>12}\n", "stage", "threads", "pictures/s",
             "median", "a second of core", "of stb's", "of decode's");
  for (const Json& row : r["results"])
    fmt::print("{:<18} {:>7} {:>11.0f} {:>9.0f} {:>16.0f} {:>9.2f} {:>12.3f}\n",
               row["stage"].get<std::string>(), row["threads"].get<int>(),
               row["pictures_per_s"].get<double>(), row["pictures_per_s_median"].get<double>(),
               row["pictures_per_core_s"].get<double>(), row["per_core_of_stb"].get<double>(),
               row["per_core_of_decode"].get<double>());
}

}  // namespace passband::bench
