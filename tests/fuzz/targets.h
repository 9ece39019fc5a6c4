// Fuzz targets: each takes bytes that somebody may have made to do harm, and does with them what
// the programs do with such a file or name. It returns when they were read or refused in one line;
// anything else (a crash, an endless loop, another exception, a message of several lines) is a
// fault. tests/fuzz/README.md says how to run them.
#pragma once
#include <array>
#include <string_view>

namespace passband::fuzz {

void model_name(std::string_view bytes);         // --model
void safetensors(std::string_view bytes);        // a file of weights
void pytorch(std::string_view bytes);            // a file of torch.save
void picture(std::string_view bytes);            // PNG and JPEG
void gzip(std::string_view bytes);               // after two bytes: the size it must inflate to
void label_json(std::string_view bytes);         // labels beside PNG pictures of CIFAR-10
void npy(std::string_view bytes);                // after one byte: labels (even) or pictures (odd)
void matlab(std::string_view bytes);             // a MAT-file of three arrays
void tar(std::string_view bytes);                // a tar shard
void shard_index(std::string_view bytes);        // an index of shards, but for its checksum
void run_config(std::string_view bytes);         // config.toml of a run
void run_checksums(std::string_view bytes);      // its checksums.txt
void section(std::string_view bytes);            // a stored section of a report
void train_arguments(std::string_view bytes);    // one a line
void analyze_arguments(std::string_view bytes);  // one a line

struct Target {
  std::string_view name;  // and of its folder in corpus/
  void (*run)(std::string_view bytes);
};

inline constexpr std::array kTargets = {Target{"model_name", model_name},
                                        Target{"safetensors", safetensors},
                                        Target{"pytorch", pytorch},
                                        Target{"picture", picture},
                                        Target{"tar", tar},
                                        Target{"shard_index", shard_index},
                                        Target{"gzip", gzip},
                                        Target{"label_json", label_json},
                                        Target{"npy", npy},
                                        Target{"matlab", matlab},
                                        Target{"run_config", run_config},
                                        Target{"run_checksums", run_checksums},
                                        Target{"section", section},
                                        Target{"train_arguments", train_arguments},
                                        Target{"analyze_arguments", analyze_arguments}};

}  // namespace passband::fuzz
