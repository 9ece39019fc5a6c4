// TensorBoard's event files: records of TensorFlow's framing (length and payload, each with a
// masked CRC-32C) that hold messages of its protocol buffers (tensorflow/core/util/event.proto).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "tensor/core/file.h"

namespace passband {

// `payload` as a record: length (8 bytes), its CRC, payload, its CRC, little-endian; a CRC c is
// masked as ((c >> 15) | (c << 17)) + 0xa282ead8.
std::string event_record(std::string_view payload);

class EventFile {
 public:
  // A new file "events.out.tfevents.<seconds>.<host>.<process>" in `folder`. Of a run that goes on
  // after `step`, earlier files' events after it are taken back. Throws Error.
  EventFile(const std::filesystem::path& folder, int64_t step);
  // A number by a name, at a step. Throws Error.
  void scalar(std::string_view tag, double value, int64_t step);

 private:
  LogFile file_;
};

}  // namespace passband
