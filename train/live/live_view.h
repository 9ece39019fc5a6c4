// A training to look at while it runs: a page with its curves, a few pictures with what the network
// says of them, and the spectra of three layers epoch by epoch, served to this machine's browser.
#pragma once
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/model.h"
#include "models/page_server.h"
#include "train/live/metrics_reader.h"

namespace passband {

// A block whose result is shown as a spectrum.
struct LiveLayer {
  std::string path;
  int64_t side = 0;  // of its maps, the shorter one
};

// What a network makes of a few pictures; the training's thread looks, after an evaluation.
struct LiveLook {
  int64_t epoch = 0;
  std::vector<std::vector<double>> spectra;        // of the layers
  std::vector<std::vector<double>> probabilities;  // of the pictures, by class
};

// A file of the page, from train/live/page/ or shared with the explorer's.
struct LiveFile {
  std::string_view name, text;
};
const std::vector<LiveFile>& live_files();

class LiveView {
 public:
  // Begins to serve the training of `run`, which shows pictures of `data`. See PageServer.
  LiveView(const std::filesystem::path& run, std::string title, const Dataset& data,
           int64_t image_size, int port);

  // On the training's thread: runs a dozen pictures through `model`, which stays as it is.
  // Nothing that goes wrong ends the training: it is said once, and the page stays as it was.
  void look(const Model& model, int64_t epoch);

  std::string address() const { return server_->address(); }
  // What the page is told, as JSON.
  std::string state();

 private:
  PageAnswer answer(const PageRequest& request);
  void choose_layers(const Model& model);

  std::string title_;
  std::vector<std::string> classes_;
  std::vector<int32_t> labels_;
  Tensor images_;       // as the network sees them, on the host
  std::string pixels_;  // of the pictures, hexadecimal
  std::vector<LiveLayer> layers_;
  bool complained_ = false;

  std::mutex mutex_;  // of what follows, which the server's threads read
  MetricsReader metrics_;
  std::vector<LiveLook> looks_;
  std::vector<LiveLayer> shown_layers_;

  std::unique_ptr<PageServer> server_;  // the last member: it ends first
};

}  // namespace passband
