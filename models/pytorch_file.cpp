#include "models/pytorch_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "models/element_types.h"
#include "models/stored_zip.h"
#include "tensor/core/error.h"
#include "tensor/core/text.h"

namespace passband {
namespace {

using Kind = PickleValue::Kind;

constexpr const char* kWayOut =
    "; where you trust the file, load it with PyTorch and save its state_dict alone";

// Types of storages by PyTorch's name.
struct StorageType {
  std::string_view name, type;
  int64_t bytes;
};
constexpr std::array<StorageType, 10> kStorageTypes = {{{"FloatStorage", "F32", 4},
                                                        {"HalfStorage", "F16", 2},
                                                        {"BFloat16Storage", "BF16", 2},
                                                        {"DoubleStorage", "F64", 8},
                                                        {"LongStorage", "I64", 8},
                                                        {"IntStorage", "I32", 4},
                                                        {"ShortStorage", "I16", 2},
                                                        {"CharStorage", "I8", 1},
                                                        {"ByteStorage", "U8", 1},
                                                        {"BoolStorage", "BOOL", 1}}};

int64_t element_bytes(std::string_view type) {
  const auto found = std::ranges::find(kStorageTypes, type, &StorageType::type);
  return found->bytes;
}

// Nothing for a name that is none of them.
const StorageType* storage_type(const PickleValue& name) {
  const std::string full = name.full_name();
  const auto found = std::ranges::find_if(kStorageTypes, [&](const StorageType& type) {
    return full == concat_text("torch.", type.name);
  });
  return found == kStorageTypes.end() ? nullptr : &*found;
}

// Classes and functions that stand for tensors, containers and plain data beside them.
bool is_harmless(const std::string& name) {
  constexpr std::array<std::string_view, 16> known = {"collections.OrderedDict",
                                                      "collections.defaultdict",
                                                      "argparse.Namespace",
                                                      "torch._utils._rebuild_tensor",
                                                      "torch._utils._rebuild_tensor_v2",
                                                      "torch._utils._rebuild_parameter",
                                                      "torch.Size",
                                                      "torch.device",
                                                      "numpy.dtype",
                                                      "numpy.core.multiarray.scalar",
                                                      "numpy._core.multiarray.scalar",
                                                      "_codecs.encode",
                                                      "pathlib.PosixPath",
                                                      "builtins.set",
                                                      "builtins.dict",
                                                      "builtins.list"};
  if (std::ranges::find(known, name) != known.end()) return true;
  return std::ranges::any_of(kStorageTypes, [&](const StorageType& type) {
    return name == concat_text("torch.", type.name);
  });
}

const PickleValue* item(const PickleValue& value, size_t i) {
  return i < value.items.size() ? value.items[i] : nullptr;
}

bool is_number(const PickleValue* value) { return value && value->kind == Kind::number; }

// Sizes or strides.
std::optional<std::vector<int64_t>> numbers(const PickleValue* value) {
  if (!value || value->kind != Kind::list || value->items.size() > Shape::kMaxRank) return {};
  std::vector<int64_t> result;
  for (const PickleValue* entry : value->items) {
    if (!is_number(entry) || entry->number < 0) return {};
    result.push_back(entry->number);
  }
  return result;
}

// What would be called; empty when the value is no object.
std::string callable_of(const PickleValue& value) {
  return value.kind == Kind::object ? value.items[0]->full_name() : std::string();
}

bool is_tensor(const PickleValue& value) {
  return callable_of(value).starts_with("torch._utils._rebuild_");
}

bool holds_tensors(const PickleValue& value) {
  if (value.kind != Kind::dictionary) return false;
  for (size_t i = 1; i < value.items.size(); i += 2)
    if (is_tensor(*value.items[i])) return true;
  return false;
}

std::string words(const PickleValue& value) {
  switch (value.kind) {
    case Kind::none: return "None";
    case Kind::number:
    case Kind::real: return "a number";
    case Kind::text: return "text";
    case Kind::list: return "a list";
    case Kind::dictionary: return "a dictionary";
    case Kind::name: return value.full_name();
    case Kind::object: return callable_of(value);
    case Kind::reference: break;
  }
  return "a storage";
}

// The bytes of an element of each storage that the value leads to, by the storage's key: also of
// those of no tensor among the weights, such as an optimiser's.
std::map<std::string, int64_t> widths_of_storages(const PickleValue& root) {
  std::map<std::string, int64_t> widths;
  std::vector<const PickleValue*> open = {&root};
  std::unordered_set<const PickleValue*> seen = {&root};
  while (!open.empty()) {
    const PickleValue& value = *open.back();
    open.pop_back();
    const PickleValue* const id = value.kind == Kind::reference ? item(value, 0) : nullptr;
    const PickleValue *const type = id ? item(*id, 1) : nullptr, *key = id ? item(*id, 2) : nullptr;
    if (type && key && key->kind == Kind::text)
      if (const StorageType* known = storage_type(*type))
        widths[std::string(key->text)] = known->bytes;
    for (const PickleValue* held : value.items)
      if (seen.insert(held).second) open.push_back(held);
  }
  return widths;
}

// The dictionary of tensors in a checkpoint, and the keys that lead to it.
const PickleValue* find_state(const PickleValue& root, std::string& place) {
  const PickleValue* at = &root;
  for (int depth = 0; depth < 4 && !holds_tensors(*at); ++depth) {
    const PickleValue* next = nullptr;
    for (const std::string_view key :
         {"state_dict", "model", "net", "model_state_dict", "model_state", "network", "module",
          "state_dict_ema", "model_ema", "teacher", "student"}) {
      const PickleValue* found = at->find(key);
      if (!found || found->kind != Kind::dictionary) continue;
      place += concat_text(place.empty() ? "" : " / ", key);
      next = found;
      break;
    }
    if (!next) return nullptr;
    at = next;
  }
  return holds_tensors(*at) ? at : nullptr;
}

}  // namespace

PytorchFile::PytorchFile(const std::string& path) : TensorFile(path) {
  std::error_code error;
  size_ = std::filesystem::file_size(path, error);
  file_.open(path, std::ios::binary);
  if (error || !file_)
    throw DataError(concat_text("cannot read ", path, ": ", std::strerror(errno)));
  if (size_ >= 2 && bytes_at(0, 2) == "PK") read_archive();
  else read_older_form();
  for (const auto& [name, view] : views_) check_view(view, name);
}

void PytorchFile::fail(const std::string& why) const {
  throw DataError(concat_text(path_, ": ", why));
}

std::string PytorchFile::bytes_at(uint64_t begin, uint64_t size) {
  std::string bytes(size, '\0');
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(begin));
  if (!file_.read(bytes.data(), static_cast<std::streamsize>(size)))
    throw DataError(concat_text("cannot read ", path_, ": it changed while it was being read"));
  return bytes;
}

Pickled PytorchFile::unpickle(std::span<const uint8_t> bytes, size_t* length) const {
  const auto check = [&](const PickleValue& name) {
    if (is_harmless(name.full_name())) return;
    fail(concat_text("holds ", quote(name.full_name()),
                     ", which is no tensor: nothing but tensors and plain data is read, and "
                     "nothing is executed",
                     kWayOut));
  };
  return read_pickle(bytes, path_, check, length);
}

void PytorchFile::read_archive() {
  const StoredZip zip(file_, size_, path_);
  constexpr std::string_view pickle = "/data.pkl";
  const auto found = std::ranges::find_if(
      zip.entries(), [&](const auto& entry) { return entry.first.ends_with(pickle); });
  if (found == zip.entries().end())
    fail(
        "is a zip archive without data.pkl, so not one of torch.save: unpack it and give the "
        "file of weights in it");
  const std::string folder = found->first.substr(0, found->first.size() - pickle.size());
  if (const auto order = zip.entries().find(folder + "/byteorder");
      order != zip.entries().end() && order->second.size < 16 &&
      bytes_at(order->second.begin, order->second.size) != "little")
    fail("its numbers are big-endian, which is not read here");
  if (zip.entries().contains(folder + "/constants.pkl"))
    fail(concat_text("is a TorchScript program, not a file of weights", kWayOut));
  const std::string data = folder + "/data/";
  for (const auto& [name, entry] : zip.entries())
    if (name.starts_with(data))
      storages_[name.substr(data.size())] = {entry.begin, entry.size, true};
  const std::string bytes = bytes_at(found->second.begin, found->second.size);
  add_tensors(*unpickle({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
}

void PytorchFile::read_older_form() {
  // The pickles come first, and what follows them may be much longer.
  constexpr uint64_t kLongest = uint64_t{64} << 20;
  const std::string bytes = bytes_at(0, std::min(size_, kLongest));
  const std::span<const uint8_t> all(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  constexpr std::string_view magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
  size_t at = 0;
  Pickled root;
  const auto next = [&] {
    size_t length = 0;
    Pickled value = unpickle(all.subspan(at), &length);
    at += length;
    return value;
  };
  if (next()->text != magic)
    fail("is a pickle, but not one of torch.save: save the tensors with it, or as safetensors");
  next(), next();  // the version of the form, and sizes of numbers where it was written
  root = next();
  const Pickled keys = next();
  add_tensors(*root);
  place_storages(*keys, widths_of_storages(*root), at);
}

void PytorchFile::place_storages(const PickleValue& keys,
                                 const std::map<std::string, int64_t>& widths, uint64_t at) {
  for (const PickleValue* key : keys.items) {
    const std::string name(key->text);
    const auto width = widths.find(name);
    if (width == widths.end())
      fail(concat_text("storage ", quote(name),
                       " is of no type that is read here; what follows it cannot be found",
                       kWayOut));
    if (size_ - at < 8) fail("is cut short");
    const std::string stated = bytes_at(at, 8);
    uint64_t count = 0;
    std::memcpy(&count, stated.data(), 8);
    at += 8;
    const auto bytes = static_cast<uint64_t>(width->second);
    if (count > (size_ - at) / bytes) fail("is cut short");
    storages_[name] = {at, count * bytes, true};
    at += storages_[name].bytes;
  }
}

void PytorchFile::add_tensors(const PickleValue& root) {
  std::string place;
  const PickleValue* const state = find_state(root, place);
  if (!state)
    fail(concat_text("holds ", words(root),
                     " without weights in it: expected a dictionary of tensors, itself or under "
                     "state_dict, model or net",
                     kWayOut));
  if (!place.empty()) metadata_["place"] = place;
  for (size_t i = 0; i + 1 < state->items.size(); i += 2) {
    const PickleValue &key = *state->items[i], &value = *state->items[i + 1];
    if (key.kind != Kind::text) fail("a tensor in it has no name");
    const std::string name(key.text);
    View view = view_of(value, name);
    shapes_[name] = view.shape;
    if (!views_.insert({name, std::move(view)}).second)
      fail(concat_text("two tensors are called ", quote(name)));
  }
}

std::string PytorchFile::type_of_storage(const PickleValue& type, const std::string& name) const {
  if (const StorageType* known = storage_type(type)) return std::string(known->type);
  fail(concat_text("tensor ", quote(name), " is kept in ", quote(type.full_name()),
                   ", which is not read here"));
}

PytorchFile::View PytorchFile::view_of(const PickleValue& value, const std::string& name) const {
  const auto refuse = [&](const std::string& why) {
    fail(concat_text(quote(name), " is ", why, ", not a tensor that is read here", kWayOut));
  };
  if (!is_tensor(value)) refuse(words(value));
  const PickleValue& arguments = *value.items[1];
  const PickleValue* const first = item(arguments, 0);
  if (callable_of(value) == "torch._utils._rebuild_parameter") {
    // Of parameters of parameters there are none.
    if (!first || callable_of(*first) == "torch._utils._rebuild_parameter" || !is_tensor(*first))
      refuse("a parameter of no tensor");
    return view_of(*first, name);
  }
  // storage, offset, sizes, strides
  const auto shape = numbers(item(arguments, 2)), strides = numbers(item(arguments, 3));
  const PickleValue* const offset = item(arguments, 1);
  if (!first || first->kind != Kind::reference || !is_number(offset) || offset->number < 0 ||
      !shape || !strides || shape->size() != strides->size())
    refuse("a tensor of another form");
  // "storage", type, key, device, elements, and in the older form a part of another storage
  const PickleValue& id = *first->items[0];
  const PickleValue *const type = item(id, 1), *const key = item(id, 2), *part = item(id, 5);
  if (!type || !key || key->kind != Kind::text) refuse("in a storage of another form");
  int64_t begin = offset->number;
  if (part && part->kind == Kind::list) {
    const PickleValue* const shift = item(*part, 1);
    constexpr int64_t kFarthest = int64_t{1} << 48;
    if (!is_number(shift) || shift->number < 0 || shift->number > kFarthest || begin > kFarthest)
      refuse("in a part of a storage of another form");
    begin += shift->number;
  }
  std::vector<int64_t> steps = *strides;
  // Along a dimension of one element nothing is stepped, whatever the file says.
  for (size_t d = 0; d < steps.size(); ++d)
    if ((*shape)[d] <= 1) steps[d] = 0;
  return {type_of_storage(*type, name), std::string(key->text), begin, *shape, std::move(steps)};
}

// All its elements lie in the storage, and are not more than that a thousand times over (a view may
// repeat them).
void PytorchFile::check_view(const View& view, const std::string& name) const {
  const auto storage = storages_.find(view.storage);
  if (storage == storages_.end())
    fail(concat_text("tensor ", quote(name), ": its storage ", quote(view.storage), " is missing"));
  const auto held = static_cast<int64_t>(storage->second.bytes) / element_bytes(view.dtype);
  int64_t count = 1, last = view.offset;
  const auto beyond = [&] {
    fail(concat_text("tensor ", quote(name), " reaches beyond its storage; the file is damaged"));
  };
  if (last > held) beyond();
  for (size_t d = 0; d < view.shape.size(); ++d) {
    const int64_t size = view.shape[d], stride = view.strides[d];
    if (size > 0 && count > 1000 * (held + 1) / size) beyond();
    count *= size;
    if (size > 1 && stride > (held - last) / (size - 1)) beyond();
    last += size > 1 ? stride * (size - 1) : 0;
  }
  if (count > 0 && last >= held) beyond();
}

Tensor PytorchFile::read(const std::string& name, DType target) {
  const auto found = views_.find(name);
  if (found == views_.end()) fail(concat_text("has no tensor ", quote(name)));
  const View& view = found->second;
  if (!is_floating_element(view.dtype))
    fail(concat_text("tensor ", quote(name), " holds ", view.dtype, ", not F32, BF16, F16 or F64"));
  const auto width = static_cast<size_t>(element_bytes(view.dtype));
  const Storage& storage = storages_.at(view.storage);
  Tensor out = Tensor::empty(Shape(std::span(view.shape)), target);
  const auto count = static_cast<size_t>(out.numel());
  int64_t extent = count > 0 ? 1 : 0;
  for (size_t d = 0; count > 0 && d < view.shape.size(); ++d)
    extent += (view.shape[d] - 1) * view.strides[d];
  const std::string held = bytes_at(storage.begin + static_cast<uint64_t>(view.offset) * width,
                                    static_cast<uint64_t>(extent) * width);
  std::string bytes(count * width, '\0');
  std::vector<int64_t> index(view.shape.size());
  int64_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(&bytes[i * width], &held[static_cast<size_t>(at) * width], width);
    for (size_t d = view.shape.size(); d-- > 0;) {
      at += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      at -= view.strides[d] * view.shape[d];
      index[d] = 0;
    }
  }
  convert_elements(view.dtype, bytes, out);
  return out;
}

}  // namespace passband
