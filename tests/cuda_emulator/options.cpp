// The emulator's options, their form in the environment, and the schedules that tests run through.
#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "tests/cuda_emulator/controls.h"

namespace passband::emulator {

namespace {

constexpr std::array<std::string_view, 4> kOrders = {"forward", "reverse", "random", "greedy"};

Order parse_order(const std::string& text) {
  for (size_t i = 0; i < kOrders.size(); ++i)
    if (kOrders[i] == text) return static_cast<Order>(i);
  throw UsageError("PASSBAND_EMULATOR: order=" + text +
                   ": takes forward, reverse, random or greedy");
}

void set_option(Options& options, const std::string& name, const std::string& value) {
  if (name == "order") options.order = parse_order(value);
  else if (name == "seed") options.seed = std::strtoull(value.c_str(), nullptr, 10);
  else if (name == "shared") options.shared_limit = std::strtoull(value.c_str(), nullptr, 10) << 10;
  else if (name == "streams") options.deferred_streams = value == "deferred";
  else if (name == "strict_exit") options.strict_exit = value == "1";
  else if (name == "guard") options.guard_device_memory = value == "1";
  else
    throw UsageError("PASSBAND_EMULATOR: unknown option " + name +
                     ": takes order, seed, shared (KiB), streams, strict_exit "
                     "and guard");
}

Options options_of_environment() {
  Options options;
  const char* text = std::getenv("PASSBAND_EMULATOR");
  std::istringstream list(text ? text : "");
  for (std::string item; std::getline(list, item, ',');) {
    const size_t equals = item.find('=');
    set_option(options, item.substr(0, equals),
               equals == std::string::npos ? "1" : item.substr(equals + 1));
  }
  return options;
}

}  // namespace

Options& options() {
  static Options instance = options_of_environment();
  return instance;
}

std::string describe(const Options& options) {
  return concat_text("order=", kOrders[static_cast<size_t>(options.order)], ",seed=", options.seed,
                     ",streams=", options.deferred_streams ? "deferred" : "blocking");
}

void for_each_schedule(int seeds, const std::function<void()>& body) {
  struct Restore {
    Options saved = options();
    ~Restore() { options() = saved; }
  } const restore;
  const auto run = [&](Order order, int seed) {
    options().order = order;
    options().seed = static_cast<uint64_t>(seed);
    body();
  };
  run(Order::forward, 1);
  run(Order::reverse, 1);
  for (int seed = 1; seed <= seeds; ++seed) {
    run(Order::greedy, seed);
    run(Order::random, seed);
  }
}

}  // namespace passband::emulator
