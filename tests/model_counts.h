// Numbers of parameters of models, beside the published ones.
#pragma once
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "models/model.h"

namespace passband::testing {

struct Count {
  const char* name;
  int64_t classes, side, parameters;
};

inline int64_t parameters_of(const std::string& name, int64_t classes, int64_t side) {
  return make_model(name, {.classes = classes, .image_size = side}, false)
      ->store()
      .parameter_count();
}

inline void check_counts(const std::vector<Count>& counts) {
  for (const Count& c : counts) {
    DOCTEST_INFO(c.name, " with ", c.classes, " classes at ", c.side);
    DOCTEST_CHECK(parameters_of(c.name, c.classes, c.side) == c.parameters);
  }
}

}  // namespace passband::testing
