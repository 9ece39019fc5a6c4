// Files given as weights that are not safetensors files: what they are, and what to do.
#pragma once
#include <string>

namespace passband {

// Throws DataError when the file at `path` begins like something else than a safetensors file: a
// git-lfs pointer, a web page, a pickle of PyTorch's, an index of parts, a picture.
void refuse_foreign_weights(const std::string& path);

}  // namespace passband
