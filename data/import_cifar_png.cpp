// import_cifar_png SOURCE TARGET: CIFAR-10 from PNG pictures to official files, for data/fetch.sh.
#include <cstdio>
#include <exception>

#include "data/cifar_png.h"
#include "tensor/core/error.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: import_cifar_png SOURCE TARGET\n");
    return 2;
  }
  try {
    passband::import_cifar10_png(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "import_cifar_png: %s\n", error.what());
    return 3;
  }
  return 0;
}
