// The explorer over the program's own operations: what a served page asks for, and what it gets.
// Networks may be as large as memory allows.
#pragma once
#include <cstdint>
#include <list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "analysis/explore/effects.h"
#include "analysis/explore/explorer.h"
#include "models/page_server.h"

namespace passband {

// Answers, as JSON or, for "/", the page:
//   GET  /          the page
//   POST /pass      {net, picture, edits}: logits, and activity and spectrum of each block's result
//   POST /value     {net, picture, edits, value}: its numbers (f32, base64) and its spectrum
//   POST /constant  {net, index}: its numbers
//   POST /effect    {net, edit}: what the edit does over many pictures; measured once
// A picture is a number among those of the page, or bytes (side, side, 3) in base64. Anything else
// is an Error, of which nothing is left behind.
class ExploreSession {
 public:
  // Networks on the host, where passes run; effects are measured on request.device.
  explicit ExploreSession(ExplorerRequest request);
  PageAnswer answer(const PageRequest& request);

  // Values of a pass; see graph_values. The last few are kept.
  const std::vector<Tensor>& values(size_t network, int64_t picture,
                                    const std::vector<Edit>& edits);

 private:
  struct Network {
    Subject subject;
    NetworkGraph graph;
    Intact intact;
    std::vector<EditEffect> effects = {};  // those that were asked for
  };
  struct Pass {
    std::string key;
    std::vector<Tensor> values;
  };

  std::string page() const;
  const std::vector<Tensor>& pass(const std::string& key, size_t network, const Tensor& picture,
                                  const std::vector<int64_t>& index,
                                  const std::vector<Edit>& edits);
  const std::vector<Tensor>& asked_values(const nlohmann::json& asked);
  nlohmann::json pass_json(const nlohmann::json& asked);
  nlohmann::json value_json(const nlohmann::json& asked);
  nlohmann::json constant_json(const nlohmann::json& asked) const;
  nlohmann::json effect_json(const nlohmann::json& asked);
  size_t network_of(const nlohmann::json& asked) const;

  ExplorerRequest request_;
  std::vector<int64_t> indices_;  // of the pictures shown
  std::vector<Network> networks_;
  std::list<Pass> passes_;  // the newest first
};

}  // namespace passband
