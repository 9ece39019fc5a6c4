// Faults: who did what, where. Turns bad memory accesses of kernels into errors that name the
// source line.
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cuda_emulator/machine.h"

namespace passband::emulator {

std::string text_of(const Location& at) {
  const char* slash = strrchr(at.file_name(), '/');
  return concat_text(slash ? slash + 1 : at.file_name(), ":", at.line());
}

std::string text_of(uint3 v) { return concat_text("(", v.x, ",", v.y, ",", v.z, ")"); }

std::string text_of(const Thread& thread) {
  return "block " + text_of(blockIdx) + " thread " + text_of(thread.index);
}

namespace {

// Output of binutils' addr2line: the name of the function on one line, "path/file.cu:40" on the
// next, and so on outwards through the calls that the compiler has inlined. Empty where it is not
// installed.
std::vector<std::string> address_to_lines(const void* code) {
  Dl_info info{};
  link_map* module = nullptr;
  if (!dladdr1(code, &info, reinterpret_cast<void**>(&module), RTLD_DL_LINKMAP) || !module)
    return {};
  char path[4096] = {};
  const ssize_t length = module->l_name[0] ? -1 : readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string file =
      length > 0 ? std::string(path, static_cast<size_t>(length)) : info.dli_fname;
  char address[32];
  snprintf(address, sizeof address, "%#zx", reinterpret_cast<uintptr_t>(code) - module->l_addr);
  const std::string command = "addr2line -C -f -i -s -e '" + file + "' " + address + " 2>/dev/null";
  std::vector<std::string> lines;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char buffer[2048];
    while (fgets(buffer, sizeof buffer, pipe)) {
      lines.emplace_back(buffer);
      lines.back().erase(lines.back().find_last_not_of('\n') + 1);
    }
    pclose(pipe);
  }
  return lines;
}

// The most recent fault's kernel and place, as a sentence.
std::string sentence(const std::string& what, const std::string& place, const Thread* thread) {
  std::string text = function_name(machine.call ? machine.call->kernel : nullptr);
  text += " (launched at " + text_of(machine.site) + "): " + what;
  if (!place.empty()) text += ", at " + place;
  if (thread) text += ", in " + text_of(*thread);
  return text;
}

}  // namespace

std::string source_line(const void* code) {
  const std::vector<std::string> lines = address_to_lines(static_cast<const char*>(code) - 1);
  std::string text;
  for (size_t i = 1; i < lines.size() && i < 7; i += 2) {
    std::string line = lines[i].substr(0, lines[i].find(" (discriminator"));
    text += (text.empty() ? "" : " inlined in ") + line;
  }
  return text.empty()
             ? concat_text("instruction ", code, " (addr2line of binutils would name the line)")
             : text;
}

std::string function_name(const void* code) {
  if (!code) return "kernel";
  const std::vector<std::string> lines = address_to_lines(code);
  std::string name = lines.empty() || lines[0] == "??" ? "kernel" : lines[0];
  for (const std::string noise : {"(anonymous namespace)::", "passband::"})
    for (size_t at; (at = name.find(noise)) != std::string::npos;) name.erase(at, noise.size());
  return name.substr(name.starts_with("void ") ? 5 : 0);
}

void note_fault(const std::string& what) {
  if (machine.fault.empty()) machine.fault = sentence(what, "", nullptr);
}

// Ends the kernel; nothing on this fiber's stack is destroyed.
[[noreturn]] static void abandon_fiber() {
  Fiber& fiber = *machine.current->fiber;
  machine.current = nullptr;
  switch_fiber(fiber, machine.host);
  std::abort();  // never resumed
}

// Takes over both strings, so that none is left on the stack.
static void record_fault(std::string what, std::string place) {
  if (machine.fault.empty()) machine.fault = sentence(what, place, machine.current);
}

void fail_at(std::string what, std::string place) {
  machine.inside = true;
  if (!machine.running) throw Fault(with_scope(place.empty() ? what : what + ", at " + place));
  record_fault(std::move(what), std::move(place));
  abandon_fiber();
}

void fail(std::string what) {
  if (machine.running) fail_at(std::move(what), "");
  throw Fault(with_scope(sentence(what, "", nullptr)));
}

void check_alignment(const void* address, size_t bytes, Location at) {
  if (reinterpret_cast<uintptr_t>(address) % bytes == 0) {
    if (checker) checker->pack(address, bytes);
    return;
  }
  const Inside inside(at);
  fail_at(concat_text("misaligned vector access: ", bytes, " bytes at ", address), text_of(at));
}

namespace {

// Of the access that has just faulted.
struct BadAccess {
  const char* address = nullptr;
  const void* instruction = nullptr;
} bad_access;

std::string describe_bad_access() {
  if (is_device(bad_access.address)) return describe_device_address(bad_access.address);
  if (in_stacks(bad_access.address))
    return concat_text("stack overflow: a thread's local variables take more than ",
                       options().stack_bytes, " bytes");
  if (is_shared(bad_access.address)) return "access outside shared memory";
  return concat_text("access to no memory at all, or misaligned, at ",
                     static_cast<const void*>(bad_access.address));
}

// Runs in place of the kernel's instruction that faulted, from the top of its stack, which nobody
// needs any more.
void report_bad_access() {
  const bool on_behalf = machine.inside && machine.inside_at.line() > 0;
  machine.inside = true;
  fail_at(describe_bad_access(),
          on_behalf ? text_of(machine.inside_at)
                    : source_line(static_cast<const char*>(bad_access.instruction) + 1));
}

struct sigaction earlier_action[2];

void redirect_to_report(void* context) {
  auto* state = static_cast<ucontext_t*>(context);
  const Fiber& fiber = *machine.current->fiber;
  unpoison_memory(fiber.stack, fiber.stack_bytes);
  auto* top = reinterpret_cast<uintptr_t*>(fiber.stack + fiber.stack_bytes);
#if defined(__x86_64__)
  auto& registers = state->uc_mcontext.gregs;
  *--top = 0;
  bad_access.instruction = reinterpret_cast<const void*>(registers[REG_RIP]);
  registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(&report_bad_access));
  registers[REG_RSP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(top));
#elif defined(__aarch64__)
  bad_access.instruction = reinterpret_cast<const void*>(state->uc_mcontext.pc);
  state->uc_mcontext.pc = reinterpret_cast<uintptr_t>(&report_bad_access);
  state->uc_mcontext.sp = reinterpret_cast<uintptr_t>(top);
#endif
}

void report_host_access(const char* address) {
  char text[160];
  const int length =
      snprintf(text, sizeof text,
               "cuda emulator: host code touches device memory at %p; copy it to the host first\n",
               static_cast<const void*>(address));
  if (write(STDERR_FILENO, text, static_cast<size_t>(length)) < 0) _exit(86);
}

void on_bad_access(int signal, siginfo_t* info, void* context) {
  if (is_device(info->si_addr) && open_allocation(info->si_addr)) return;
  bad_access.address = static_cast<const char*>(info->si_addr);
  if (machine.running && machine.current && machine.current->fiber)
    return redirect_to_report(context);
  if (is_device(bad_access.address)) report_host_access(bad_access.address);
  // Not ours to handle: the instruction runs again under whatever was installed before us.
  sigaction(signal, &earlier_action[signal == SIGBUS], nullptr);
}

}  // namespace

// Before every launch: somebody may have put another handler in place, as test frameworks do for
// each test.
void install_fault_handler() {
  // A signal stack belongs to one thread of the operating system, and the handler to all.
  static thread_local char stack[64 * 1024];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  for (const int signal : {SIGSEGV, SIGBUS}) {
    struct sigaction current {};
    sigaction(signal, nullptr, &current);
    if (current.sa_sigaction == on_bad_access) continue;
    earlier_action[signal == SIGBUS] = current;
    struct sigaction action {};
    action.sa_sigaction = on_bad_access;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace passband::emulator

// For a debugger: `call passband_print_threads()`.
extern "C" __attribute__((used)) void passband_print_threads() {
  using namespace passband::emulator;
  for (const Thread& thread : machine.threads) {
    const char* state = thread.state == ThreadState::fresh ? "not started" : "ready";
    if (thread.state == ThreadState::done) state = "returned";
    if (&thread == machine.current) state = "running";
    const bool waits =
        thread.state == ThreadState::at_barrier || thread.state == ThreadState::in_collective;
    const std::string text =
        waits ? std::string("waits in ") + thread.waiting + " at " + text_of(thread.at) : state;
    fprintf(stderr, "%s: %s\n", text_of(thread).c_str(), text.c_str());
  }
}
