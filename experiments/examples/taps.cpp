// Taps: a network names its buffers; probes read, edit or remove them from outside.
//
// Prints:
//   block1.branch is f32[5, 8]@cpu
//   block2.branch is f32[5, 8]@cpu
//   edit: twice the branch is twice the change
//   lesion: without its branches the network returns what it got
#include <passband/passband.h>

#include <cmath>
#include <cstdio>

using namespace passband;

namespace {

// x + branch(x), the branch under a tap
struct Block {
  Linear in, out;
  std::string name;

  explicit Block(const Scope& scope)
      : in(scope / "in", 8, 16), out(scope / "out", 16, 8), name(scope.name()) {}
  Tensor operator()(const Tensor& x) const {
    const ScopeGuard running(name);
    return x + tap("branch", out(relu(in(x))), {});
  }
};

double distance(const Tensor& a, const Tensor& b) { return sqrt(sum(square(a - b))).item(); }

}  // namespace

int main() {
  ParameterStore store;
  const Block block1(Scope(store) / "block1"), block2(Scope(store) / "block2");
  store.build(/*seed=*/1);
  const Tensor x = Tensor::randn({5, 8}, Generator(2).next());
  const auto network = [&] { return block2(block1(x)); };

  const Tensor plain = [&] {
    const ProbeGuard read({"branch"}, [](const TapSite& site, const Tensor& buffer) {
      std::printf("%s is %s\n", site.path.c_str(), buffer.describe().c_str());
      return buffer;
    });
    return network();
  }();
  {
    const ProbeGuard edit({"branch"}, [](const TapSite& site, const Tensor& buffer) {
      return site.path == "block2.branch" ? 2 * buffer : buffer;
    });
    const double ratio = distance(network(), block1(x)) / distance(plain, block1(x));
    std::printf("edit: twice the branch is %s\n",
                std::abs(ratio - 2) < 1e-4 ? "twice the change" : "something else");
  }
  const ProbeGuard lesion(
      {"branch"}, [](const TapSite&, const Tensor& buffer) { return Tensor::zeros_like(buffer); });
  std::printf("lesion: without its branches the network returns %s\n",
              distance(network(), x) == 0 ? "what it got" : "something else");
}
