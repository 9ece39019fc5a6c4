// A machine with a stack, as Python's pickletools describes it, that only ever builds values.
#include "data/pickle.h"

#include <deque>
#include <map>

#include "tensor/core/error.h"

namespace passband {
namespace {

using Kind = PickleValue::Kind;
using Values = std::vector<const PickleValue*>;

class Machine {
 public:
  Machine(std::span<const uint8_t> file, const std::string& path, const PickleNames& names)
      : rest_(file), path_(path), names_(names) {}
  Pickled run();
  size_t left() const { return rest_.size(); }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw DataError(concat_text(path_, ": not a pickle that is read here: ", why));
  }
  std::span<const uint8_t> take(size_t count);
  uint64_t take_number(size_t bytes);
  std::string_view take_text(size_t length);
  std::string_view take_line();

  PickleValue* push(Kind kind, Values items = {});
  void count_value();
  void push_number(int64_t number) { push(Kind::number)->number = number; }
  void push_text(std::string_view text) { push(Kind::text)->text = text; }
  void push_long(size_t length);
  void push_name();
  PickleValue* pop();
  PickleValue* top();
  Values pop_to_mark();
  void remember(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index);
  // What calling one value with another stands for.
  void make_object();
  void set_state();
  // The last `count` values become one.
  void collect(Kind kind, size_t count);

  bool step(uint8_t code);
  bool step_constant(uint8_t code);
  bool step_memory(uint8_t code);
  bool step_container(uint8_t code);
  bool step_object(uint8_t code);

  std::span<const uint8_t> rest_;
  const std::string& path_;
  const PickleNames& names_;
  // Owns every value: lists may hold themselves.
  std::shared_ptr<std::deque<PickleValue>> values_ = std::make_shared<std::deque<PickleValue>>();
  size_t count_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, PickleValue*> memo_;
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

void Machine::count_value() {
  constexpr size_t kMost = size_t{1} << 22;  // some hundred megabytes of values
  if (++count_ > kMost) fail(concat_text("it holds more than ", kMost, " values"));
}

PickleValue* Machine::push(Kind kind, Values items) {
  count_value();
  PickleValue& value = values_->emplace_back();
  value.kind = kind;
  value.items = std::move(items);
  stack_.push_back(&value);
  return &value;
}

// A whole number of so many bytes, the lowest first.
void Machine::push_long(size_t length) {
  const std::string_view bytes = take_text(length);
  if (length > 8) return push_text(bytes);
  uint64_t number = length > 0 && (static_cast<uint8_t>(bytes.back()) & 0x80u) ? ~uint64_t{0} : 0;
  for (size_t i = length; i-- > 0;) number = number << 8 | static_cast<uint8_t>(bytes[i]);
  push_number(static_cast<int64_t>(number));
}

// Module and name are on the stack.
void Machine::push_name() {
  collect(Kind::name, 2);
  for (const PickleValue* part : top()->items)
    if (part->kind != Kind::text) fail("it names a class by what is no text");
  if (names_) names_(*top());
}

PickleValue* Machine::top() {
  if (stack_.empty()) fail("its stack is empty");
  return stack_.back();
}

PickleValue* Machine::pop() {
  PickleValue* const value = top();
  stack_.pop_back();
  return value;
}

Values Machine::pop_to_mark() {
  if (marks_.empty() || marks_.back() > stack_.size()) fail("a mark is missing");
  const auto first = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  const Values values(first, stack_.end());
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
  const PickleValue* const arguments = pop();
  const PickleValue* const callable = pop();
  if (callable->full_name() != "collections.OrderedDict") {
    push(Kind::object, {callable, arguments});
    return;
  }
  PickleValue* const dictionary = push(Kind::dictionary);
  if (arguments->items.empty()) return;
  for (const PickleValue* pair : arguments->items.front()->items) {  // as Python 2 wrote them
    if (pair->items.size() != 2) fail("a dictionary is not made of pairs");
    count_value();
    dictionary->items.insert(dictionary->items.end(), pair->items.begin(), pair->items.end());
  }
}

// What Python keeps of a dictionary beside its keys is of no use here.
void Machine::set_state() {
  const PickleValue* const state = pop();
  if (top()->kind == Kind::object) top()->items.push_back(state);
}

void Machine::collect(Kind kind, size_t count) {
  if (count > stack_.size()) fail("its stack is empty");
  const auto first = stack_.end() - static_cast<ptrdiff_t>(count);
  Values values(first, stack_.end());
  stack_.erase(first, stack_.end());
  push(kind, std::move(values));
}

// Numbers and text. False for another code.
bool Machine::step_constant(uint8_t code) {
  switch (code) {
    case 'N': push(Kind::none); return true;
    case 0x88:
    case 0x89: push_number(code == 0x88); return true;
    case 'J': push_number(static_cast<int32_t>(take_number(4))); return true;
    case 'K': push_number(static_cast<int64_t>(take_number(1))); return true;
    case 'M': push_number(static_cast<int64_t>(take_number(2))); return true;
    case 0x8a: push_long(take_number(1)); return true;
    case 'G': take(8), push(Kind::real); return true;
    case 'T':
    case 'X':
    case 'B': push_text(take_text(take_number(4))); return true;
    case 'U':
    case 'C':
    case 0x8c: push_text(take_text(take_number(1))); return true;
    case 0x8e: push_text(take_text(take_number(8))); return true;
    default: return false;
  }
}

// What is remembered. False for another code.
bool Machine::step_memory(uint8_t code) {
  switch (code) {
    case 'q': remember(take_number(1)); return true;
    case 'r': remember(take_number(4)); return true;
    case 0x94: remember(memo_.size()); return true;
    case 'h': recall(take_number(1)); return true;
    case 'j': recall(take_number(4)); return true;
    case '0': pop(); return true;
    default: return false;
  }
}

// Lists, tuples, sets and dictionaries. False for another code.
bool Machine::step_container(uint8_t code) {
  const auto extend = [&](const Values& values) {
    auto& items = top()->items;
    items.insert(items.end(), values.begin(), values.end());
  };
  switch (code) {
    case '(': marks_.push_back(stack_.size()); return true;
    case ']':
    case ')':
    case 0x8f: push(Kind::list); return true;
    case '}': push(Kind::dictionary); return true;
    case 't':
    case 0x91: push(Kind::list, pop_to_mark()); return true;
    case 0x85:
    case 0x86:
    case 0x87: collect(Kind::list, code - 0x84u); return true;
    case 'a': extend({pop()}); return true;
    case 'e':
    case 'u':
    case 0x90: extend(pop_to_mark()); return true;
    case 's': {
      const PickleValue* const value = pop();
      const PickleValue* const key = pop();
      extend({key, value});
      return true;
    }
    default: return false;
  }
}

// Classes, functions, and what they would make. False for another code.
bool Machine::step_object(uint8_t code) {
  switch (code) {
    case 'c': push_text(take_line()), push_text(take_line()), push_name(); return true;
    case 0x93: push_name(); return true;
    case 'R':
    case 0x81: make_object(); return true;
    case 'b': set_state(); return true;
    case 'Q': collect(Kind::reference, 1); return true;
    default: return false;
  }
}

// False at the end of the pickle.
bool Machine::step(uint8_t code) {
  constexpr uint8_t protocol = 0x80, frame = 0x95;
  if (code == '.') return false;
  if (code == protocol) take(1);
  else if (code == frame) take(8);
  else if (!step_constant(code) && !step_memory(code) && !step_container(code) &&
           !step_object(code))
    fail(concat_text("it holds the code ", int{code}));
  return true;
}

Pickled Machine::run() {
  if (rest_.empty() || rest_[0] != 0x80) fail("it does not begin like one");
  while (step(take(1)[0])) {
  }
  return {values_, pop()};
}

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (kind == Kind::dictionary && items[i]->kind == Kind::text && items[i]->text == key)
      return items[i + 1];
  return nullptr;
}

std::string PickleValue::full_name() const {
  if (kind != Kind::name) return {};
  return concat_text(items[0]->text, '.', items[1]->text);
}

Pickled read_pickle(std::span<const uint8_t> file, const std::string& path,
                    const PickleNames& names, size_t* length) {
  Machine machine(file, path, names);
  Pickled value = machine.run();
  if (length) *length = file.size() - machine.left();
  return value;
}

std::string_view array_bytes(const PickleValue* value, size_t bytes) {
  // State of a NumPy array: version, shape, type, Fortran order, elements.
  constexpr size_t kState = 2, kOrder = 3, kElements = 4;
  if (!value || value->kind != Kind::object || value->items.size() <= kState) return {};
  const Values& state = value->items[kState]->items;
  if (state.size() <= kElements || state[kOrder]->number != 0) return {};
  const std::string_view elements = state[kElements]->text;
  return elements.size() == bytes ? elements : std::string_view{};
}

}  // namespace passband
