// The processes of a training: sums, and what is done while one waits.
#include "tensor/core/collective.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "tensor/core/process_modules.h"

namespace passband {

// Not in the unnamed namespace: PendingSum::State, which others see the name of, holds a Group.
namespace processes {

struct Peer {
  std::string host;
  double pid = 0, pid_space = 0;  // in which namespace the pid means something
};

struct Group {
  CollectiveBackend* backend = nullptr;
  int rank = 0, size = 1;
  std::vector<Peer> peers;
  std::set<int> busy, answered, lost;
  bool spoken = false;  // process 0 has said why all end
  bool fixed_tree = false;
  double stall_limit = 0, waited = 0;
  std::function<int()> interruption;
  std::function<std::string()> trouble;
};

}  // namespace processes

namespace {

using processes::Group;
using processes::Peer;

using Clock = std::chrono::steady_clock;
using Transfer = CollectiveBackend::Transfer;

// What a note begins with.
constexpr char kFailed = 'F', kSpoken = 'S', kBusy = 'B', kFree = 'b', kAsks = 'Q', kAnswers = 'A';

Group& launched_group() {
  static Group group;
  return group;
}
thread_local std::unique_ptr<Group> group_of_test;
Group& group() { return group_of_test ? *group_of_test : launched_group(); }

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string name_of(const Group& g, int rank) {
  const auto at = static_cast<size_t>(rank);
  return fmt::format("rank {} of {} (host {})", rank, g.size,
                     at < g.peers.size() ? g.peers[at].host : "unknown");
}

// --- notes
// ----------------------------------------------------------------------------------------

void post(Group& g, int to, char kind, const std::string& text = {}) {
  try {
    g.backend->post(to, kind + text);
  } catch (const std::runtime_error&) {  // who can not be reached is found out otherwise
  }
}

void post_to_all(Group& g, char kind, const std::string& text = {}) {
  for (int rank = 0; rank < g.size; ++rank)
    if (rank != g.rank && !g.lost.contains(rank)) post(g, rank, kind, text);
}

// Throws ProcessLost for the news that another process has failed.
void read_notes(Group& g) {
  std::string note;
  for (int from; (from = g.backend->receive(note)) >= 0;) {
    if (note.empty()) continue;
    switch (note[0]) {
      case kSpoken: g.spoken = true; break;
      case kBusy: g.busy.insert(from); break;
      case kFree: g.busy.erase(from); break;
      case kAsks: post(g, from, kAnswers); break;
      case kAnswers: g.answered.insert(from); break;
      case kFailed: {
        const size_t end = note.find(' ');
        throw ProcessLost(fmt::format("{}: {}", name_of(g, from), note.substr(end + 1)),
                          std::atoi(note.substr(1, end - 1).c_str()));
      }
      default: break;
    }
  }
}

// --- who is there
// ---------------------------------------------------------------------------------

uint64_t own_pid_space() {
  std::array<char, 64> text{};
  const ssize_t length = ::readlink("/proc/self/ns/pid", text.data(), text.size() - 1);
  const char* digits = length > 0 ? std::strpbrk(text.data(), "0123456789") : nullptr;
  return digits ? std::strtoull(digits, nullptr, 10) : 0;
}

bool is_dead(const Peer& peer) {
  const auto pid = static_cast<pid_t>(peer.pid);
  if (::kill(pid, 0) != 0) return errno == ESRCH;
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return false;
  const size_t name_end = text.rfind(')');  // the state follows the name, which may hold anything
  return name_end != std::string::npos && name_end + 2 < text.size() &&
         (text[name_end + 2] == 'Z' || text[name_end + 2] == 'X');
}

void look_for_dead(Group& g) {
  if (g.peers.empty()) return;
  const Peer& own = g.peers[static_cast<size_t>(g.rank)];
  for (int rank = 0; rank < g.size; ++rank) {
    const Peer& peer = g.peers[static_cast<size_t>(rank)];
    const bool visible = peer.host == own.host && peer.pid_space == own.pid_space;
    if (rank != g.rank && visible && is_dead(peer)) g.lost.insert(rank);
  }
  if (!g.lost.empty())
    throw ProcessLost(fmt::format("{} died (process {:.0f}: killed, or it ran out of memory)",
                                  name_of(g, *g.lost.begin()),
                                  g.peers[static_cast<size_t>(*g.lost.begin())].pid));
}

// The others are asked whether they wait too. Who does not answer is not waiting, but keeps others
// waiting.
[[noreturn]] void find_who_hangs(Group& g) {
  constexpr double kPatience = 3;
  g.answered.clear();
  post_to_all(g, kAsks);
  for (const auto begin = Clock::now(); seconds_since(begin) < kPatience;) {
    read_notes(g);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (int rank = 0; rank < g.size; ++rank)
    if (rank != g.rank && !g.answered.contains(rank)) g.lost.insert(rank);
  if (g.lost.empty())
    throw ProcessLost(fmt::format(
        "all {} processes have waited for each other for {:g} s: the network between them, or one "
        "of them did other work than the rest",
        g.size, g.stall_limit));
  throw ProcessLost(fmt::format(
      "{} has kept the others waiting for {:g} s (--stall-seconds): it hangs, or is cut off",
      name_of(g, *g.lost.begin()), g.stall_limit));
}

// Half a second is half of what Open MPI leaves between a request to end and the end.
constexpr double kPatienceWhenAsked = 0.5;

void check_devices(const Group& g) {
  const std::string trouble = g.trouble ? g.trouble() : "";
  if (!trouble.empty())
    throw ProcessLost(
        fmt::format("the GPUs' sums of {} have failed: {}", name_of(g, g.rank), trouble));
}

// When one dies on another host, the launcher tells the rest to end, and nobody else says which. It
// is not taken for lost: who is busy may still save.
[[noreturn]] void end_as_asked(const Group& g, int signal) {
  std::string whom = "others";
  for (int rank = g.size - 1; rank >= 0; --rank)
    if (rank != g.rank && !g.answered.contains(rank))
      whom = name_of(g, rank) + ", which does not answer: it died, is cut off, or is busy";
  throw ProcessLost(fmt::format("{} was told to end by signal {} while it waited for {}",
                                name_of(g, g.rank), signal, whom),
                    128 + signal);
}

void look_around(Group& g, double waited, double& asked_at) {
  read_notes(g);
  look_for_dead(g);
  check_devices(g);
  const int asked = g.interruption ? g.interruption() : 0;
  if (asked && asked_at < 0) {
    asked_at = waited;
    g.answered.clear();
    post_to_all(g, kAsks);
  }
  if (asked && waited - asked_at >= kPatienceWhenAsked) end_as_asked(g, asked);
  if (!g.busy.empty() || g.stall_limit <= 0 || waited < g.stall_limit) return;
  find_who_hangs(g);
}

// Calls `has_ended` until it says so.
template <class HasEnded> void wait_until(Group& g, const HasEnded& has_ended) {
  constexpr double kBetweenLooks = 0.1, kBusyWaiting = 2e-4;
  try {
    if (has_ended()) return;
    const auto begin = Clock::now();
    double looked = 0, asked_at = -1, waited = 0;
    while (!has_ended()) {
      waited = seconds_since(begin);
      if (waited - looked >= kBetweenLooks) {
        looked = waited;
        look_around(g, waited, asked_at);
      }
      if (waited < kBusyWaiting) sched_yield();
      else std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    g.waited += seconds_since(begin);
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw ProcessLost(fmt::format("{} has lost the others: {}", name_of(g, g.rank), error.what()));
  }
}

void wait_for(Group& g, Transfer transfer) {
  wait_until(g, [&] { return g.backend->has_ended(transfer); });
}

// Numbers carry what all must know of each other: it is little, and only once.
void introduce(Group& g) {
  constexpr int kHost = 64, kWidth = kHost + 2;
  std::array<char, kHost + 1> host{};
  if (::gethostname(host.data(), kHost) != 0) std::strcpy(host.data(), "unknown");
  std::vector<double> table(static_cast<size_t>(kWidth * g.size), 0.0);
  double* own = table.data() + kWidth * g.rank;
  for (int i = 0; i < kHost; ++i) own[i] = host[i];
  own[kHost] = static_cast<double>(::getpid());
  own[kHost + 1] = static_cast<double>(own_pid_space());
  wait_for(g, g.backend->begin_sum(table.data(), std::ssize(table)));
  for (int rank = 0; rank < g.size; ++rank) {
    const double* row = table.data() + kWidth * rank;
    Peer& peer = g.peers.emplace_back();
    for (int i = 0; i < kHost && row[i] != 0; ++i) peer.host += static_cast<char>(row[i]);
    peer.pid = row[kHost];
    peer.pid_space = row[kHost + 1];
  }
}

}  // namespace

void join_processes() {
  CollectiveBackend* const backend = launched_backend();
  if (!backend) return;
  Group& g = launched_group();
  g.backend = backend;
  g.rank = backend->rank();
  g.size = backend->size();
  introduce(g);
}

void use_backend(CollectiveBackend* backend) {
  group_of_test = backend ? std::make_unique<Group>() : nullptr;
  if (!backend) return;
  group_of_test->backend = backend;
  group_of_test->rank = backend->rank();
  group_of_test->size = backend->size();
}

int process_rank() { return group().rank; }
int process_count() { return group().size; }
std::string process_name(int rank) { return name_of(group(), rank); }

int processes_here() {
  const Group& g = group();
  if (g.peers.empty()) return 1;
  const std::string& host = g.peers[static_cast<size_t>(g.rank)].host;
  return static_cast<int>(std::ranges::count(g.peers, host, &Peer::host));
}

int rank_here() {
  const Group& g = group();
  if (g.peers.empty()) return 0;
  const std::string& host = g.peers[static_cast<size_t>(g.rank)].host;
  return static_cast<int>(
      std::ranges::count(g.peers.begin(), g.peers.begin() + g.rank, host, &Peer::host));
}

// --- sums
// -----------------------------------------------------------------------------------------

namespace {

// The first of `rows` of `width` becomes ((0 + 1) + (2 + 3)) + ...
template <class T> void add_by_tree(T* rows, int64_t count, int64_t width) {
  for (int64_t stride = 1; stride < count; stride *= 2)
    for (int64_t p = 0; p + stride < count; p += 2 * stride) {
      T* const to = rows + p * width;
      const T* const from = rows + (p + stride) * width;
      for (int64_t i = 0; i < width; ++i) to[i] += from[i];
    }
}

// The numbers of every process, by rank.
std::vector<double> gathered_rows(Group& g, const double* own, int64_t count) {
  std::vector<double> rows(static_cast<size_t>(count * g.size), 0.0);
  std::copy_n(own, count, rows.begin() + count * g.rank);
  if (g.size > 1 && count > 0) wait_for(g, g.backend->begin_sum(rows.data(), std::ssize(rows)));
  return rows;
}

}  // namespace

// By the backend's own order, or by the tree: then every process adds up one part of the values,
// of which it gets all summands, and gives the sums to the others.
struct PendingSum::State {
  Group& g;
  float* values;
  int64_t count, each = 0;
  Transfer transfer = nullptr;
  bool gathering = false, done = false;
  std::vector<float> sent, received;

  State(Group& of, float* memory, int64_t size) : g(of), values(memory), count(size) {
    if (!g.fixed_tree) {
      transfer = g.backend->begin_sum(values, count);
      return;
    }
    each = (count + g.size - 1) / g.size;
    sent.assign(static_cast<size_t>(each * g.size), 0.0f);
    received.resize(sent.size());
    std::copy_n(values, count, sent.begin());
    transfer = g.backend->begin_exchange(sent.data(), received.data(), each);
  }

  bool advance() {
    if (done) return true;
    if (transfer && !g.backend->has_ended(transfer)) return false;
    transfer = nullptr;
    if (g.fixed_tree && !gathering) return false;
    if (gathering) std::copy_n(sent.begin(), count, values);
    return done = true;
  }

  // Of several sums that are under way, processes see one or another come first, but all must begin
  // the same transfers in one order: sums are given out where they are waited for.
  void wait() {
    if (g.fixed_tree && !gathering && !done) {
      wait_for(g, std::exchange(transfer, nullptr));
      add_by_tree(received.data(), g.size, each);
      gathering = true;
      transfer = g.backend->begin_gather(received.data(), sent.data(), each);
    }
    wait_until(g, [&] { return advance(); });
  }
};

PendingSum::PendingSum() = default;
PendingSum::PendingSum(PendingSum&&) noexcept = default;
PendingSum& PendingSum::operator=(PendingSum&&) noexcept = default;
PendingSum::~PendingSum() = default;

bool PendingSum::advance() { return !state_ || state_->advance(); }
void PendingSum::wait() {
  if (!state_) return;
  state_->wait();
  state_.reset();
}

PendingSum begin_sum(float* values, int64_t count) {
  PendingSum sum;
  if (group().size > 1 && count > 0)
    sum.state_ = std::make_unique<PendingSum::State>(group(), values, count);
  return sum;
}

void sum_over_processes(double* values, int64_t count) {
  Group& g = group();
  if (g.size == 1 || count <= 0) return;
  // two summands have one order
  if (!g.fixed_tree || g.size == 2) return wait_for(g, g.backend->begin_sum(values, count));
  std::vector<double> rows = gathered_rows(g, values, count);
  add_by_tree(rows.data(), g.size, count);
  std::copy_n(rows.begin(), count, values);
}

void broadcast(void* bytes, int64_t count) {
  constexpr int64_t kMost = int64_t{1} << 30;
  Group& g = group();
  if (g.size == 1) return;
  for (int64_t begin = 0; begin < count; begin += kMost)
    wait_for(g, g.backend->begin_broadcast(static_cast<char*>(bytes) + begin,
                                           std::min(kMost, count - begin)));
}

void broadcast(std::string& text) {
  auto size = static_cast<int64_t>(text.size());
  broadcast(&size, sizeof size);
  text.resize(static_cast<size_t>(size));
  broadcast(text.data(), size);
}

std::vector<double> rows_of_processes(const std::vector<double>& own) {
  return gathered_rows(group(), own.data(), std::ssize(own));
}

double largest_of_processes(double value) { return std::ranges::max(rows_of_processes({value})); }

void add_by_fixed_tree(bool fixed) { group().fixed_tree = fixed; }
void set_stall_limit(double seconds) { group().stall_limit = seconds; }
void set_interruption(std::function<int()> asked) { group().interruption = std::move(asked); }
void watch_for_trouble(std::function<std::string()> trouble) {
  group().trouble = std::move(trouble);
}
void wait_with_processes(const std::function<bool()>& has_ended) {
  wait_until(group(), has_ended);
  check_devices(group());
}
double take_waiting_seconds() { return std::exchange(group().waited, 0.0); }

KeepsOthersWaiting::KeepsOthersWaiting() { post_to_all(group(), kBusy); }
KeepsOthersWaiting::~KeepsOthersWaiting() { post_to_all(group(), kFree); }

// --- the end
// --------------------------------------------------------------------------------------

bool speaks_for_all() {
  const Group& g = group();
  if (g.spoken) return false;
  int first = 0;
  while (g.lost.contains(first)) ++first;
  return g.rank == first;
}

bool must_say(const std::string& error, int code) {
  constexpr double kPatience = 30;
  Group& g = group();
  if (g.size == 1) return true;
  post_to_all(g, kFailed, fmt::format("{} {}", code, error));
  if (g.rank == 0) {
    post_to_all(g, kSpoken);
    return true;
  }
  for (const auto begin = Clock::now(); !g.spoken && seconds_since(begin) < kPatience;) {
    try {
      read_notes(g);
      look_for_dead(g);
    } catch (const ProcessLost&) {  // this one ends already
    }
    if (g.lost.contains(0)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return !g.spoken;
}

void end_all_processes(int code) {
  constexpr std::chrono::milliseconds kForNotes(300), kForTheEnd(60000);
  Group& g = group();
  if (g.size == 1) return;
  if (!speaks_for_all()) {
    std::this_thread::sleep_for(kForTheEnd);
    std::_Exit(code);
  }
  for (int rank = 0; rank < g.size; ++rank)  // who hangs may awake before its end
    if (rank != g.rank) post(g, rank, kSpoken);
  std::string note;
  for (const auto begin = Clock::now(); Clock::now() - begin < kForNotes;) {
    g.backend->receive(note);  // which moves those on that were posted
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  g.backend->end_all(code);
}

void leave_processes() {
  Group& g = group();
  if (!g.backend) return;
  largest_of_processes(0);
  g.backend->leave();
}

}  // namespace passband
