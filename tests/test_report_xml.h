// A small well-formedness checker for the drawings and pages of the report: tags nest, attributes
// are quoted and unique, entities are known, ids are unique. Enough XML to catch what a
// string-building writer can get wrong.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace passband::demo {

// Empty when `text` is well formed, else what is wrong and where. In HTML, `meta` has no end tag
// and the contents of script and style are text.
class XmlChecker {
 public:
  XmlChecker(std::string_view text, bool html) : text_(text), html_(html) {}

  std::string problem() {
    while (error_.empty() && at_ < text_.size()) {
      if (starts("<!DOCTYPE") || starts("<?xml")) skip_past(">");
      else if (starts("<!--")) skip_past("-->");
      else if (starts("</")) end_tag();
      else if (text_[at_] == '<') start_tag();
      else character_data();
    }
    if (error_.empty() && !open_.empty()) fail("never closed: " + open_.back());
    return error_;
  }

 private:
  bool starts(std::string_view token) const { return text_.substr(at_, token.size()) == token; }
  void fail(const std::string& what) {
    if (error_.empty())
      error_ = what + " at byte " + std::to_string(at_) + ": " + std::string(text_.substr(at_, 60));
  }
  void skip_past(std::string_view token) {
    const size_t found = text_.find(token, at_);
    if (found == std::string_view::npos) return fail("missing " + std::string(token));
    at_ = found + token.size();
  }
  static bool name_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == ':';
  }
  std::string name() {
    const size_t begin = at_;
    while (at_ < text_.size() && name_char(text_[at_])) ++at_;
    if (at_ == begin) fail("a name expected");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  void entity() {
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
      if (starts(known)) {
        at_ += known.size();
        return;
      }
    fail("unknown entity");
  }
  void character_data() {
    if (text_[at_] == '&') entity();
    else ++at_;
  }
  void attribute(std::set<std::string>& seen) {
    const std::string key = name();
    if (!seen.insert(key).second) fail("attribute twice: " + key);
    if (html_ && text_[at_] != '=') return;  // hidden
    if (!starts("=\"")) return fail("attribute without quoted value: " + key);
    at_ += 2;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"' && error_.empty()) {
      if (text_[at_] == '<') fail("< in an attribute");
      character_data();
    }
    if (key == "id" && !ids_.insert(std::string(text_.substr(begin, at_ - begin))).second)
      fail("id twice");
    ++at_;
  }
  void start_tag() {
    ++at_;
    const std::string tag = name();
    std::set<std::string> seen;
    for (space(); error_.empty() && at_ < text_.size() && text_[at_] != '>' && text_[at_] != '/';
         space())
      attribute(seen);
    if (starts("/>")) {
      at_ += 2;
      return;
    }
    if (text_[at_] != '>') return fail("> expected");
    ++at_;
    if (html_ && tag == "meta") return;
    if (html_ && (tag == "script" || tag == "style")) return skip_past("</" + tag + ">");
    open_.push_back(tag);
  }
  void end_tag() {
    at_ += 2;
    const std::string tag = name();
    if (open_.empty() || open_.back() != tag)
      return fail("</" + tag + "> closes " + (open_.empty() ? "nothing" : open_.back()));
    open_.pop_back();
    skip_past(">");
  }

  std::string_view text_;
  bool html_;
  size_t at_ = 0;
  std::vector<std::string> open_;
  std::set<std::string> ids_;
  std::string error_;
};

}  // namespace passband::demo
