#include "train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "data/crc32.h"

namespace passband {
namespace {

double event_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class Number> std::string little_endian(Number value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value % 128 + 128);
  return bytes + static_cast<char>(value);
}

// Fields of a protocol buffer: number and wire type, then the value.
std::string field(int number, int wire) { return varint(static_cast<uint64_t>(number * 8 + wire)); }
std::string whole_field(int number, int64_t value) {
  return field(number, 0) + varint(static_cast<uint64_t>(value));
}
std::string double_field(int number, double value) {
  return field(number, 1) + little_endian(value);
}
std::string float_field(int number, float value) { return field(number, 5) + little_endian(value); }
std::string bytes_field(int number, std::string_view bytes) {
  return field(number, 2) + varint(bytes.size()) + std::string(bytes);
}

// Event: wall_time = 1, step = 2.
std::string event_at(int64_t step) {
  return double_field(1, event_seconds()) + whole_field(2, step);
}

std::filesystem::path new_event_file(const std::filesystem::path& folder) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  for (int again = 0;; ++again) {
    const std::string name =
        fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(event_seconds()),
                    host.data(), getpid(), again);
    if (!std::filesystem::exists(folder / name)) return folder / name;
  }
}

uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

}  // namespace

std::string event_record(std::string_view payload) {
  const std::string length = little_endian(static_cast<uint64_t>(payload.size()));
  return length + little_endian(masked(crc32c(length))) + std::string(payload) +
         little_endian(masked(crc32c(payload)));
}

EventFile::EventFile(const std::filesystem::path& folder, int64_t step)
    : file_(new_event_file(folder).string()) {
  // Event: file_version = 3, session_log = 7; SessionLog: status = 1, START = 1
  std::string text = event_record(event_at(0) + bytes_field(3, "brain.Event:2"));
  if (step > 0) text += event_record(event_at(step + 1) + bytes_field(7, whole_field(1, 1)));
  file_.append(text);
}

void EventFile::scalar(std::string_view tag, double value, int64_t step) {
  // Event: summary = 5; Summary: value = 1; Value: tag = 1, simple_value = 2
  const std::string number = bytes_field(1, tag) + float_field(2, static_cast<float>(value));
  file_.append(event_record(event_at(step) + bytes_field(5, bytes_field(1, number))));
}

}  // namespace passband
