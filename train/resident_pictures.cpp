#include "train/resident_pictures.h"

#include <algorithm>

#include "tensor/device_choice.h"

namespace passband {
namespace {

constexpr int64_t kPiece = int64_t{16}
                           << 20;  // bytes copied at a time: a second copy of the set may not fit

Tensor bytes_on(const Dataset& dataset, Device device) {
  Tensor all = Tensor::empty({dataset.count, dataset.height, dataset.width, 3}, DType::u8, device);
  for (int64_t first = 0; first < all.numel(); first += kPiece) {
    const int64_t bytes = std::min(kPiece, all.numel() - first);
    Tensor piece = Tensor::empty({bytes}, DType::u8);
    std::copy_n(dataset.images.data() + first, bytes, piece.data<uint8_t>());
    all.view(first, piece.shape()).copy_from(piece);
  }
  return all;
}

}  // namespace

std::unique_ptr<ResidentPictures> ResidentPictures::upload(const Dataset& dataset, Device device) {
  if (!device.is_cuda() || dataset.count > INT32_MAX || dataset.streamed()) return nullptr;
  const auto bytes = static_cast<double>(dataset.images.size());
  if (bytes > kMaxShare * static_cast<double>(free_memory(device))) return nullptr;
  return std::unique_ptr<ResidentPictures>(new ResidentPictures(dataset, device));
}

ResidentPictures::ResidentPictures(const Dataset& dataset, Device device)
    : pictures_(bytes_on(dataset, device)),
      normalisation_{dataset.mean, dataset.std},
      upload_(device) {}

void ResidentPictures::make_batch(Tensor images, std::span<const int64_t> indices,
                                  const CropOptions& crop, const RandomKey& key,
                                  const Mixing& mixing) {
  Tensor host = Tensor::empty({static_cast<int64_t>(indices.size())}, DType::i32);
  std::ranges::transform(indices, host.data<int32_t>(),
                         [](int64_t index) { return static_cast<int32_t>(index); });
  const bool fits = indices_ && indices_.shape() == host.shape();
  if (!fits) indices_ = Tensor::empty(host.shape(), DType::i32, images.device());
  upload_(indices_, host);
  passband::make_batch(images, pictures_, indices_, crop, normalisation_, key, mixing);
}

}  // namespace passband
