// Pages that a program serves to the browser of whoever started it: on 127.0.0.1 alone, to
// addresses that hold a token, and to no other page's scripts.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "models/page_server_backend.h"

namespace passband {

// Answers a request that may be answered; from several threads at once. What it throws becomes an
// answer of status 400 (Error) or 500, with the text as {"error": ...}.
using PageHandler = std::function<PageAnswer(const PageRequest&)>;

// The first port that is tried where none is named; a busy one leads to the next.
constexpr int kFirstPort = 8017;

// What stands at the door, for a server at `port` whose token is `token`: the status with which a
// request is refused, or 0. 403: no token or a wrong one (compared in constant time), another Host
// than this machine's own, or an Origin that is another page's. 405: neither GET nor POST.
int refusal(const PageRequest& request, const std::string& token, int port);

// Throws UsageError where this build has no server, saying how to get one.
void require_page_server();

// Serves until it is destroyed, which takes a second at most, whatever readers do: who reads or
// writes too slowly is dropped.
class PageServer {
 public:
  // At the first free one of a hundred ports from `port` on, else at any. See require_page_server.
  explicit PageServer(PageHandler handler, int port = kFirstPort);
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  // "http://127.0.0.1:8017/?token=..."
  std::string address() const;
  int port() const { return port_; }

 private:
  struct Gate;
  std::string token_;
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<HttpServer> server_;
  int port_ = 0;
};

// Serves pages that `handler` makes on this thread, one after another, until `stopped`, which is
// asked many times a second. `tell` is given the address.
void serve_pages(const PageHandler& handler, int port,
                 const std::function<void(const std::string& address)>& tell,
                 const std::function<bool()>& stopped);

}  // namespace passband
