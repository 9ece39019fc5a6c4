// cp.async: the hardware may copy at any time between the instruction and the wait for its group.
// Two extremes are run, by order and seed: at once; or at the wait, with the destination poisoned
// until then.
#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

namespace {

struct Copy {
  char* destination;
  const char* source;
  size_t bytes, valid;  // the rest is zero
  unsigned group;
  bool done;
};

struct ThreadCopies {
  std::vector<Copy> copies;
  unsigned groups = 0;  // committed
};

std::vector<ThreadCopies> by_thread;
std::vector<uint8_t> pending;  // per 4 bytes of shared memory: copies on their way there
bool any_copies = false;

void perform(const Copy& copy) {
  memcpy(copy.destination, copy.source, copy.valid);
  memset(copy.destination + copy.valid, 0, copy.bytes - copy.valid);
}

void count_pending(const Copy& copy, int change) {
  const auto first = static_cast<size_t>(copy.destination - shared_begin()) / 4;
  for (size_t word = first; word < first + copy.bytes / 4; ++word)
    pending[word] = static_cast<uint8_t>(pending[word] + change);
}

bool copies_late() { return options().order != Order::reverse && options().seed % 2 == 1; }

void check_copy(const void* shared, const void* global, int bytes, int valid, const Location& at) {
  if (!is_shared(shared)) fail_at("cp.async: the destination is not in shared memory", text_of(at));
  if (is_shared(global))
    fail_at("cp.async: the source is in shared memory, not in device memory", text_of(at));
  const auto addresses = reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global);
  if (addresses % static_cast<unsigned>(bytes))
    fail_at(concat_text("cp.async: an address is no multiple of the ", bytes, " bytes copied"),
            text_of(at));
  if (!checker) return;
  if (valid > 0) checker->access(global, static_cast<size_t>(valid), Access::read, at);
  checker->access(shared, static_cast<size_t>(bytes), Access::write, at);
}

}  // namespace

void reset_async_copies() {
  if (!any_copies) return;
  any_copies = false;
  by_thread.clear();
  pending.assign(kSharedSpan / 4, 0);
}

bool async_copy_pending(const void* shared, size_t bytes) {
  if (!any_copies) return false;
  const auto offset = static_cast<size_t>(static_cast<const char*>(shared) - shared_begin());
  for (size_t word = offset / 4; word * 4 < offset + bytes; ++word)
    if (pending[word]) return true;
  return false;
}

void async_copy(void* shared, const void* global, int bytes, int valid_bytes, Location at) {
  const Inside inside(at);
  check_copy(shared, global, bytes, valid_bytes, at);
  if (!any_copies) {
    any_copies = true;
    by_thread.resize(machine.threads.size());
    pending.resize(kSharedSpan / 4);
  }
  ThreadCopies& mine = by_thread[machine.current->linear];
  Copy copy{static_cast<char*>(shared),
            static_cast<const char*>(global),
            static_cast<size_t>(bytes),
            static_cast<size_t>(valid_bytes),
            mine.groups,
            !copies_late()};
  if (copy.done) perform(copy);
  else memset(copy.destination, 0xFF, copy.bytes);
  count_pending(copy, 1);
  mine.copies.push_back(copy);
}

void async_copy_commit() {
  const Inside inside;
  if (any_copies) ++by_thread[machine.current->linear].groups;
}

void async_copy_wait(int groups_left, Location at) {
  const Inside inside(at);
  if (!any_copies) return;
  ThreadCopies& mine = by_thread[machine.current->linear];
  std::erase_if(mine.copies, [&](const Copy& copy) {
    const bool waited_for = copy.group + static_cast<unsigned>(groups_left) < mine.groups;
    if (!waited_for) return false;
    if (!copy.done) perform(copy);
    note_arrived_copies();
    count_pending(copy, -1);
    if (checker) checker->access(copy.destination, copy.bytes, Access::arrival, at);
    return true;
  });
}

}  // namespace passband::emulator
