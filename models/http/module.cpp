// The server of pages, by cpp-httplib. It is a module that the programs load when they serve a
// page, so that they run where the library is not.
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "models/page_server_backend.h"

namespace passband {
namespace {

using std::chrono::seconds;

// A connection holds a thread from its beginning, and browsers open some before they ask anything.
constexpr size_t kMostBody = 8 << 20, kThreads = 64;
constexpr seconds kPatience{2};  // with who reads or writes slowly
constexpr seconds kSilence{30};  // of a connection that asks nothing

std::string only_header(const httplib::Request& request, const char* name) {
  return request.get_header_value_count(name) == 1 ? request.get_header_value(name) : "";
}

PageRequest request_of(const httplib::Request& request) {
  PageRequest out{.method = request.method, .path = request.path};
  if (request.get_param_value_count("token") == 1) out.token = request.get_param_value("token");
  out.host = only_header(request, "Host");
  out.origin = only_header(request, "Origin");
  out.has_origin = request.has_header("Origin");
  out.body = request.body;
  return out;
}

void refuse(int status, httplib::Response& response) {
  response.status = status;
  response.set_content(
      status == 403 ? "Forbidden: use the whole address that the program printed." : "Not here.",
      "text/plain");
}

// What serves, apart from who began it: a reader that is still there at the end keeps it alive.
struct Service {
  explicit Service(PageRules said) : rules(std::move(said)) {
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_tcp_nodelay(true);  // else an answer waits for the acknowledgement of its headers
    server.set_read_timeout(kPatience);
    server.set_write_timeout(kPatience);
    // A refused request's body is not read, and would be taken for the next request.
    server.set_keep_alive_max_count(1);
    server.set_keep_alive_timeout(kSilence.count());
    server.set_payload_max_length(kMostBody);
    // Two programs at one port, as the library would allow, would get each other's requests.
    server.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.set_default_headers({{"Cache-Control", "no-store"},
                                {"X-Content-Type-Options", "nosniff"},
                                {"X-Frame-Options", "DENY"},
                                {"Cross-Origin-Resource-Policy", "same-origin"},
                                {"Referrer-Policy", "no-referrer"}});
    server.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          const int status = rules.door(request_of(request), port);
          if (status == 0) return httplib::Server::HandlerResponse::Unhandled;
          refuse(status, response);
          return httplib::Server::HandlerResponse::Handled;
        });
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      const PageAnswer made = rules.answer(request_of(request));
      response.status = made.status;
      response.set_content(made.body, made.type.c_str());
    };
    server.Get(".*", answer);
    server.Post(".*", answer);
  }

  PageRules rules;
  httplib::Server server;
  int port = 0;
};

class LocalServer final : public HttpServer {
 public:
  explicit LocalServer(PageRules rules) : service_(std::make_shared<Service>(std::move(rules))) {}
  ~LocalServer() override { end(); }

  bool begin(int port) override {
    constexpr const char* kHere = "127.0.0.1";
    if (port == 0) service_->port = std::max(0, service_->server.bind_to_any_port(kHere));
    else service_->port = service_->server.bind_to_port(kHere, port) ? port : 0;
    if (service_->port == 0) return false;
    std::promise<void> ended;
    ended_ = ended.get_future();
    std::thread([service = service_, ended = std::move(ended)]() mutable {
      service->server.listen_after_bind();
      ended.set_value();
    }).detach();
    return true;
  }

  int port() const override { return service_->port; }

  void end() override {
    if (!ended_.valid()) return;
    const auto last = std::chrono::steady_clock::now() + seconds(1);
    const auto ready = [&](int milliseconds) {
      return ended_.wait_for(std::chrono::milliseconds(milliseconds)) == std::future_status::ready;
    };
    // Before it has begun to listen, there is nothing to stop yet.
    while (!service_->server.is_running() && !ready(1) && std::chrono::steady_clock::now() < last) {
    }
    service_->server.stop();
    while (!ready(10) && std::chrono::steady_clock::now() < last) {
    }
    ended_ = {};
  }

 private:
  std::shared_ptr<Service> service_;
  std::future<void> ended_;
};

}  // namespace
}  // namespace passband

extern "C" [[gnu::visibility("default")]] passband::HttpServer* passband_make_http_server(
    passband::PageRules rules) {
  return new passband::LocalServer(std::move(rules));
}
