// Options of an analysis: fields of a plain struct, which holds the defaults, each bound to a name,
// a line of help and, for a choice, its words. Text becomes a value once, here.
#pragma once
#include <any>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace passband {

// An option as `--list` shows it: --set cka.estimator=biased.
struct AnalysisOption {
  std::string name;                       // "estimator"
  std::string standard;                   // default, as text
  std::string meaning;                    // one line
  std::vector<std::string> choices = {};  // allowed words; empty: any value of the option's kind
};

// Values of options as text, by name.
using OptionTexts = std::map<std::string, std::string>;

// Reads `text` into `value`. Returns what the text should have been ("a number"); nothing when it
// was read. Flags are true, on, 1 / false, off, 0; lists are comma-separated.
std::string read_value(const std::string& text, bool& value);
std::string read_value(const std::string& text, int64_t& value);
std::string read_value(const std::string& text, uint64_t& value);
std::string read_value(const std::string& text, double& value);
std::string read_value(const std::string& text, std::string& value);
std::string read_value(const std::string& text, std::vector<double>& value);

// The text of a value, which reads as that value again.
std::string write_value(bool value);
std::string write_value(int64_t value);
std::string write_value(uint64_t value);
std::string write_value(double value);
std::string write_value(const std::string& value);
std::string write_value(const std::vector<double>& value);

// The words of a choice, and what they mean.
template <class T> using Words = std::vector<std::pair<std::string, T>>;

// One field of the struct `Options`, or of a base of it.
template <class Options> struct Option {
  AnalysisOption row;
  std::function<std::string(const std::string&, Options&)> read;  // as read_value
  std::function<std::string(const Options&)> write;               // as write_value

  // A number, flag, text or list.
  template <class T, class Holder>
  requires std::derived_from<Options, Holder> Option(std::string name, T Holder::*field,
                                                     std::string meaning)
      : row{std::move(name), write_value(Options{}.*field), std::move(meaning)},
        read([field](const std::string& text, Options& options) {
          return read_value(text, options.*field);
        }),
        write([field](const Options& options) { return write_value(options.*field); }) {}

  // One of some words.
  template <class T, class Holder>
  requires std::derived_from<Options, Holder> Option(std::string name, T Holder::*field,
                                                     std::string meaning,
                                                     Words<std::type_identity_t<T>> words)
      : row{std::move(name), {}, std::move(meaning)},
        read([field, words](const std::string& text, Options& options) -> std::string {
          for (const auto& [word, meant] : words)
            if (word == text) {
              options.*field = meant;
              return {};
            }
          return "one of the words";
        }),
        write([field, words](const Options& options) -> std::string {
          for (const auto& [word, meant] : words)
            if (meant == options.*field) return word;
          return {};
        }) {
    row.standard = write(Options{});
    for (const auto& word : words) row.choices.push_back(word.first);
  }

  // A value, or `none`, the word for no value.
  template <class T, class Holder>
  requires std::derived_from<Options, Holder> Option(std::string name,
                                                     std::optional<T> Holder::*field,
                                                     std::string meaning, std::string none)
      : row{std::move(name), none, std::move(meaning)},
        read([field, none](const std::string& text, Options& options) -> std::string {
          (options.*field).reset();
          if (text == none) return {};
          const std::string wanted = read_value(text, (options.*field).emplace());
          return wanted.empty() ? wanted : none + " or " + wanted;
        }),
        write([field, none](const Options& options) {
          return options.*field ? write_value(*(options.*field)) : none;
        }) {}

  // An option of a base, which several analyses share.
  template <class Base>
  requires(std::derived_from<Options, Base> && !std::same_as<Options, Base>)
      Option(const Option<Base>& shared)
      : row(shared.row), read(shared.read), write(shared.write) {}

  // The default in other words than write_value's.
  Option written(std::string standard) && {
    row.standard = std::move(standard);
    return std::move(*this);
  }
};

// All options of one analysis, whatever struct holds them.
class OptionTable {
 public:
  OptionTable() = default;  // no options

  // Throws Error for a default that does not read as the struct's own.
  template <class Options> explicit OptionTable(const std::vector<Option<Options>>& options)
      : defaults_(Options{}) {
    for (const Option<Options>& option : options) {
      Options standard;
      const std::string wanted = option.read(option.row.standard, standard);
      add(option.row, wanted.empty() && option.write(standard) == option.write(Options{}),
          [read = option.read](const std::string& text, std::any& values) {
            return read(text, std::any_cast<Options&>(values));
          });
    }
  }

  const std::vector<AnalysisOption>& rows() const { return rows_; }
  const std::type_info& type() const { return defaults_.type(); }  // void without options
  OptionTexts defaults() const;
  // The struct with the values of `texts`, which has a text for each row. Throws UsageError for one
  // that does not fit, as an option of `analysis`.
  std::any read(const std::string& analysis, const OptionTexts& texts) const;

 private:
  using Read = std::function<std::string(const std::string&, std::any&)>;
  void add(const AnalysisOption& row, bool default_fits, Read read);

  std::any defaults_;
  std::vector<AnalysisOption> rows_;
  std::vector<Read> reads_;  // parallel to rows_
};

// options_of<CkaOptions>({{"batch", &CkaOptions::batch, "pictures a batch"}, ...})
template <class Options> OptionTable options_of(const std::vector<Option<Options>>& options) {
  return OptionTable(options);
}

}  // namespace passband
