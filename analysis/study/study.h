// A study, as `analyze` was asked for it: networks with their weights, pictures, and the directory
// of the report.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/study/analysis.h"

namespace passband {

struct StudyRequest {
  std::string run;             // empty: last
  std::string which = "best";  // weights of the run
  std::string model, weights;  // instead of a run: a network by name and a safetensors file
  std::string data, data_dir;  // empty: the run's own
  std::string pictures;        // a folder to show instead, without labels
  bool skip_bad_pictures = false;
  std::string output;  // empty: report/ in the run
  // further runs, or files of weights: FILE of the first network, MODEL=FILE of another one
  std::vector<std::string> against;
  // How pictures are shown, in place of what the run, the file or the data set says; empty, 0: as
  // they say.
  std::string mean, std, interpolation;
  double crop_pct = 0;
  int64_t img_size = 0;  // side of the pictures; tables of positions are fitted to it
  // What the network of `weights` knows: names, or how many, or a file of names, one a line. Empty:
  // as its classifier tells.
  std::vector<std::string> classes = {};
  bool untrained = false;
  int64_t images = 0;
  std::string device = "auto";  // see choose_device; where the networks run
  OptionTexts settings;         // "cka.estimator" -> "biased"
};

struct Study {
  AnalysisInput input;
  DataSplits data;
  std::string data_name;
  std::filesystem::path report;
  ReportHeader header;
  std::vector<std::string> notes;  // what was found and what was decided, a line each
};

// Loads everything. `study.input` points into the study: it must stay where it is.
void make_study(const StudyRequest& request, Study& study);

// A network with the fingerprint of its weights.
Subject make_subject(std::string label, std::shared_ptr<Model> model,
                     std::shared_ptr<const RunDescription> run = {});

// Names the weights, data, settings and device that a section is computed from: equal keys, equal
// sections.
// `input` has the settings of the analysis; files and folders that they name count with their sizes
// and times.
std::string section_key(const Analysis& analysis, const AnalysisInput& input);

// Seconds that one picture takes through the network forward, measured on a small batch; in the
// emulator once, on one picture.
double seconds_per_picture(const Model& model);

}  // namespace passband
