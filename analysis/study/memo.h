// Values that several analyses of one call share: each is made once and kept under a key.
#pragma once
#include <any>
#include <map>
#include <string>

namespace passband {

class Memo {
 public:
  // The value under `key`, made by `make()` when it is not there. One key holds one type.
  template <class T, class Make> const T& get(const std::string& key, Make&& make) {
    auto found = values_.find(key);
    if (found == values_.end()) found = values_.emplace(key, std::any(T(make()))).first;
    return std::any_cast<const T&>(found->second);
  }

 private:
  std::map<std::string, std::any> values_;
};

}  // namespace passband
