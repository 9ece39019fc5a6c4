// A machine with a stack, as Python's pickletools describes it, that only ever builds values.
#include "data/pickle.h"

#include <map>

#include "tensor/core/error.h"

namespace passband {
namespace {

using Kind = PickleValue::Kind;

Pickled value_of(Kind kind) {
  auto value = std::make_shared<PickleValue>();
  value->kind = kind;
  return value;
}

class Machine {
 public:
  Machine(std::span<const uint8_t> file, const std::string& path) : rest_(file), path_(path) {}
  Pickled run();

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw DataError(concat_text(path_, ": not a pickle that is read here: ", why));
  }
  std::span<const uint8_t> take(size_t count);
  uint64_t take_number(size_t bytes);
  std::string_view take_text(size_t length);
  std::string_view take_line();

  void push_number(int64_t number);
  void push_text(std::string_view text);
  Pickled pop();
  Pickled& top();
  std::vector<Pickled> pop_to_mark();
  void remember(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index);
  // What calling `callable` with `arguments` stands for.
  void make_object();
  void collect(Kind kind, size_t count);

  bool step(uint8_t code);
  bool step_constant(uint8_t code);
  bool step_container(uint8_t code);

  std::span<const uint8_t> rest_;
  const std::string& path_;
  std::vector<Pickled> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, Pickled> memo_;
};

std::span<const uint8_t> Machine::take(size_t count) {
  if (count > rest_.size()) fail("it is cut short");
  const auto taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

uint64_t Machine::take_number(size_t bytes) {
  uint64_t number = 0;
  const auto digits = take(bytes);
  for (size_t i = 0; i < bytes; ++i) number |= uint64_t{digits[i]} << (8 * i);
  return number;
}

std::string_view Machine::take_text(size_t length) {
  const auto bytes = take(length);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view Machine::take_line() {
  size_t length = 0;
  while (length < rest_.size() && rest_[length] != '\n') ++length;
  const std::string_view line = take_text(length);
  take(1);
  return line;
}

void Machine::push_number(int64_t number) {
  stack_.push_back(value_of(Kind::number));
  stack_.back()->number = number;
}

void Machine::push_text(std::string_view text) {
  stack_.push_back(value_of(Kind::text));
  stack_.back()->text = text;
}

Pickled& Machine::top() {
  if (stack_.empty()) fail("its stack is empty");
  return stack_.back();
}

Pickled Machine::pop() {
  const Pickled value = top();
  stack_.pop_back();
  return value;
}

std::vector<Pickled> Machine::pop_to_mark() {
  if (marks_.empty() || marks_.back() > stack_.size()) fail("a mark is missing");
  const auto first = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<Pickled> values(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return values;
}

void Machine::recall(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) fail("it refers to what it does not hold");
  stack_.push_back(found->second);
}

void Machine::make_object() {
  const Pickled arguments = pop(), callable = pop();
  stack_.push_back(value_of(Kind::object));
  stack_.back()->items = {callable, arguments};
}

// The last `count` values become one.
void Machine::collect(Kind kind, size_t count) {
  if (count > stack_.size()) fail("its stack is empty");
  const auto first = stack_.end() - static_cast<ptrdiff_t>(count);
  const Pickled value = value_of(kind);
  value->items.assign(first, stack_.end());
  stack_.erase(first, stack_.end());
  stack_.push_back(value);
}

// Numbers, text and what is remembered. False for another code.
bool Machine::step_constant(uint8_t code) {
  switch (code) {
    case 'N': stack_.push_back(value_of(Kind::none)); return true;
    case 0x88:
    case 0x89: push_number(code == 0x88); return true;
    case 'J': push_number(static_cast<int32_t>(take_number(4))); return true;
    case 'K': push_number(static_cast<int64_t>(take_number(1))); return true;
    case 'M': push_number(static_cast<int64_t>(take_number(2))); return true;
    case 'T':
    case 'X':
    case 'B': push_text(take_text(take_number(4))); return true;
    case 'U':
    case 'C':
    case 0x8c: push_text(take_text(take_number(1))); return true;
    case 0x8e: push_text(take_text(take_number(8))); return true;
    case 'q': remember(take_number(1)); return true;
    case 'r': remember(take_number(4)); return true;
    case 0x94: remember(memo_.size()); return true;
    case 'h': recall(take_number(1)); return true;
    case 'j': recall(take_number(4)); return true;
    default: return false;
  }
}

// Lists, tuples, dictionaries and objects. False for another code.
bool Machine::step_container(uint8_t code) {
  const auto extend = [&](const std::vector<Pickled>& values) {
    auto& items = top()->items;
    items.insert(items.end(), values.begin(), values.end());
  };
  switch (code) {
    case '(': marks_.push_back(stack_.size()); return true;
    case ']':
    case ')': stack_.push_back(value_of(Kind::list)); return true;
    case '}': stack_.push_back(value_of(Kind::dictionary)); return true;
    case 't': {
      const std::vector<Pickled> values = pop_to_mark();
      stack_.push_back(value_of(Kind::list));
      stack_.back()->items = values;
      return true;
    }
    case 0x85:
    case 0x86:
    case 0x87: collect(Kind::list, code - 0x84u); return true;
    case 'a': extend({pop()}); return true;
    case 'e':
    case 'u': extend(pop_to_mark()); return true;
    case 's': {
      const Pickled value = pop(), key = pop();
      extend({key, value});
      return true;
    }
    case 'c': push_text(take_line()), push_text(take_line()), collect(Kind::list, 2); return true;
    case 0x93: collect(Kind::list, 2); return true;
    case 'R': make_object(); return true;
    case 'b': extend({pop()}); return true;
    default: return false;
  }
}

// False at the end of the pickle.
bool Machine::step(uint8_t code) {
  constexpr uint8_t protocol = 0x80, frame = 0x95;
  if (code == '.') return false;
  if (code == protocol) take(1);
  else if (code == frame) take(8);
  else if (!step_constant(code) && !step_container(code))
    fail(concat_text("it holds the code ", int{code}));
  return true;
}

Pickled Machine::run() {
  if (rest_.empty() || rest_[0] != 0x80) fail("it does not begin like one");
  while (step(take(1)[0])) {
  }
  return pop();
}

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (kind == Kind::dictionary && items[i]->kind == Kind::text && items[i]->text == key)
      return items[i + 1].get();
  return nullptr;
}

Pickled read_pickle(std::span<const uint8_t> file, const std::string& path) {
  return Machine(file, path).run();
}

std::string_view array_bytes(const PickleValue* value, size_t bytes) {
  // State of a NumPy array: version, shape, type, Fortran order, elements.
  constexpr size_t kState = 2, kOrder = 3, kElements = 4;
  if (!value || value->kind != Kind::object || value->items.size() <= kState) return {};
  const std::vector<Pickled>& state = value->items[kState]->items;
  if (state.size() <= kElements || state[kOrder]->number != 0) return {};
  const std::string_view elements = state[kElements]->text;
  return elements.size() == bytes ? elements : std::string_view{};
}

}  // namespace passband
