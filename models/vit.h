// Vision transformer (Dosovitskiy et al. 2021), as timm builds it: pre-norm blocks, learned
// position embeddings.
#pragma once
#include "models/family.h"

namespace passband {

ModelFamily vit_family();

}  // namespace passband
