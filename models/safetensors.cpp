// Safetensors files: opening, and elements to tensors and back.
#include "models/safetensors.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

#include "models/element_types.h"
#include "models/foreign_weights.h"
#include "tensor/core/checksum.h"
#include "tensor/core/file.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

constexpr uint64_t kLongestHeader = 100'000'000;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

// Names of the element types that tensors here have.
std::string_view stored_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f64: return "F64";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
  }
  return "?";
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : TensorFile(path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    throw DataError(concat_text("cannot read ", path, ": no such file"));
  if (!std::filesystem::is_regular_file(status))
    throw DataError(concat_text("cannot read ", path, ": not a regular file"));
  const uint64_t size = std::filesystem::file_size(path, error);
  file_.open(path, std::ios::binary);
  if (error || !file_)
    throw DataError(concat_text("cannot read ", path, ": ", std::strerror(errno)));

  refuse_foreign_weights(path);
  uint64_t length = 0;
  if (size < 8 || !file_.read(reinterpret_cast<char*>(&length), 8))
    throw DataError(
        concat_text(path, ": is not a safetensors file (", size, " bytes; 8 are the least)"));
  if (length > kLongestHeader || length > size - 8)
    throw DataError(concat_text(path, ": claims a header of ", length, " bytes; the file has ",
                                size, " (cut short, or not a safetensors file)"));
  std::string json(length, '\0');
  if (!file_.read(json.data(), static_cast<std::streamsize>(length)))
    throw DataError(concat_text("cannot read ", path, ": ", std::strerror(errno)));
  body_ = 8 + length;
  header_ = parse_safetensors_header(path, json, size - body_);
  const auto has = [this](std::string_view key) {
    return header_.metadata.contains(std::string(key));
  };
  if (has(kChecksumKey) || has(kChecksumOfKey)) check_checksum(std::move(json));
  metadata_ = header_.metadata;
  for (const auto& [name, entry] : header_.entries) shapes_[name] = entry.shape;
}

void SafetensorsFile::check_checksum(std::string header) {
  constexpr size_t kDigits = 16;
  const size_t at = find_checksum_digits(header);
  const std::string stated = at == std::string::npos ? "" : header.substr(at, kDigits);
  Checksum checksum;
  if (stated.size() == kDigits) {
    const uint64_t length = header.size();
    header.replace(at, kDigits, kDigits, '0');
    checksum.add({reinterpret_cast<const char*>(&length), sizeof length});
    checksum.add(header);
    std::vector<char> block(size_t{1} << 20);
    while (file_.read(block.data(), std::ssize(block)) || file_.gcount() > 0)
      checksum.add({block.data(), static_cast<size_t>(file_.gcount())});
    file_.clear();
  }
  if (stated != checksum_text(checksum.value()))
    throw DataError(concat_text(path_,
                                ": is damaged: it does not have the checksum that its metadata "
                                "state; take a copy of it (a program that rewrote the file on "
                                "purpose should drop the metadata ",
                                kChecksumKey, " and ", kChecksumOfKey, ")"));
  for (const std::string_view key : {kChecksumKey, kChecksumOfKey})
    header_.metadata.erase(std::string(key));
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = header_.entries.find(name);
  if (found == header_.entries.end())
    throw DataError(concat_text(path_, ": has no tensor ", quote(name)));
  return found->second;
}

std::string SafetensorsFile::bytes_of(const SafetensorsEntry& entry) {
  std::string bytes(entry.end - entry.begin, '\0');
  file_.seekg(static_cast<std::streamoff>(body_ + entry.begin));
  if (!file_.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw DataError(concat_text("cannot read ", path_, ": it changed while it was being read"));
  return bytes;
}

Tensor SafetensorsFile::read(const std::string& name, DType target) {
  const SafetensorsEntry& e = entry(name);
  if (!is_floating_element(e.dtype))
    throw DataError(concat_text(path_, ": tensor ", quote(name), " holds ", e.dtype,
                                ", not F32, BF16, F16 or F64"));
  const std::string bytes = bytes_of(e);
  Tensor out = Tensor::empty(Shape(std::span(e.shape)), target);
  convert_elements(e.dtype, bytes, out);
  return out;
}

Tensor SafetensorsFile::read(const std::string& name) {
  const SafetensorsEntry& e = entry(name);
  const Shape shape{std::span(e.shape)};
  if (e.dtype == "F32" || e.dtype == "F16") return read(name, DType::f32);
  if (e.dtype == "BF16") return read(name, DType::bf16);
  if (e.dtype == "F64") return read(name, DType::f64);
  if (e.dtype != "I32" && e.dtype != "I64" && e.dtype != "U8" && e.dtype != "BOOL")
    throw DataError(
        concat_text(path_, ": tensor ", quote(name), " holds ", e.dtype, ", a type unknown here"));
  const std::string bytes = bytes_of(e);
  Tensor out = Tensor::empty(shape, e.dtype[0] == 'I' ? DType::i32 : DType::u8);
  if (e.dtype != "I64") {
    bytes.copy(static_cast<char*>(out.raw()), bytes.size());
    return out;
  }
  for (int64_t i = 0; i < out.numel(); ++i) {
    int64_t value;
    std::memcpy(&value, bytes.data() + 8 * i, 8);
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())
      throw DataError(
          concat_text(path_, ": tensor ", quote(name), " holds ", value, ", beyond 32 bits"));
    out.data<int32_t>()[i] = static_cast<int32_t>(value);
  }
  return out;
}

void write_safetensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                       const Metadata& metadata) {
  std::vector<SafetensorsItem> items;
  for (const auto& [name, tensor] : tensors)
    items.push_back({name,
                     std::string(stored_name(tensor.dtype())),
                     {tensor.shape().begin(), tensor.shape().end()},
                     [t = tensor.detach().to({})](char* out) {
                       std::memcpy(out, t.raw(),
                                   static_cast<size_t>(t.numel() * size_of(t.dtype())));
                     }});
  write_file_atomically(path, pack_safetensors(std::move(items), metadata));
}

std::map<std::string, Tensor> read_safetensors(const std::string& path, Metadata* metadata) {
  SafetensorsFile file(path);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, entry] : file.entries()) tensors[name] = file.read(name);
  if (metadata) *metadata = file.metadata();
  return tensors;
}

Metadata read_metadata(const std::string& path) { return SafetensorsFile(path).metadata(); }

}  // namespace passband
