// What titles call a set of pictures.
#include <doctest/doctest.h>

#include <filesystem>

#include "data/data_title.h"

using passband::title_of_data;

TEST_CASE("a title has a set's name, and of a path the last folder's") {
  CHECK(title_of_data("cifar10") == "cifar10");
  CHECK(title_of_data("my.pictures") == "my.pictures");
  CHECK(title_of_data("/somebody/photos/flowers") == "flowers");
  CHECK(title_of_data("/somebody/photos/flowers/") == "flowers");
  CHECK(title_of_data("photos/../other/./birds//") == "birds");
  CHECK(title_of_data("/sets/fish/train-{000000..000003}.tar") == "fish");
  CHECK(title_of_data("..") == std::filesystem::current_path().parent_path().filename().string());
  CHECK(title_of_data("/") == "/");
}
