#include "models/page_server.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>

#include "tensor/core/error.h"
#include "tensor/core/program_module.h"

namespace passband {
namespace fs = std::filesystem;
namespace {

constexpr int kPortsTried = 100;

// 128 random bits, in hexadecimal digits.
std::string new_token() {
  std::array<uint8_t, 16> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0)
    throw Error("the system gives no random numbers for the token of a page's address");
  std::string token;
  for (const uint8_t byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

// In a time that tells nothing of where they differ.
bool same_secret(const std::string& given, const std::string& secret) {
  unsigned different = given.size() != secret.size();
  for (size_t i = 0; i < secret.size(); ++i) {
    const char c = i < given.size() ? given[i] : '\0';
    different |= static_cast<unsigned char>(c ^ secret[i]);
  }
  return different == 0;
}

MakeHttpServer http_maker() {
  const fs::path file = find_program_module(kHttpModule);
  if (file.empty())
    throw UsageError(
        "this build serves no pages: install cpp-httplib (Debian's libcpp-httplib-dev; `make deps` "
        "does), then configure with -DPASSBAND_HTTP=AUTO and build again");
  void* const module = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const maker = module ? dlsym(module, kMakeHttpServer) : nullptr;
  if (!maker)
    throw UsageError(
        fmt::format("no pages can be served: {} does not load ({})", file.string(), dlerror()));
  return reinterpret_cast<MakeHttpServer>(maker);
}

PageAnswer error_answer(int status, const std::string& text) {
  const nlohmann::json body = {{"error", text}};
  return {status, "application/json",
          body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

PageAnswer answered(const PageHandler& handler, const PageRequest& request) {
  try {
    return handler(request);
  } catch (const Error& error) {
    return error_answer(400, error.what());
  } catch (const std::exception& error) {
    return error_answer(500, error.what());
  }
}

// Requests of a server's threads, for one thread to answer.
class Desk {
 public:
  // Waits for the answer; once the desk is closed, 503.
  PageAnswer ask(const PageRequest& request) {
    std::future<PageAnswer> answer;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return error_answer(503, "the program ends");
      answer = asked_.emplace_back(request, std::promise<PageAnswer>()).second.get_future();
    }
    came_.notify_one();
    return answer.get();
  }

  // Answers what comes within a twentieth of a second.
  void answer(const PageHandler& handler) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::milliseconds(50), [&] { return !asked_.empty(); });
    while (!asked_.empty()) {
      auto [request, promise] = std::move(asked_.front());
      asked_.pop_front();
      lock.unlock();
      promise.set_value(answered(handler, request));
      lock.lock();
    }
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [request, promise] : asked_)
      promise.set_value(error_answer(503, "the program ends"));
    asked_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::pair<PageRequest, std::promise<PageAnswer>>> asked_;
  bool closed_ = false;
};

}  // namespace

int refusal(const PageRequest& request, const std::string& token, int port) {
  const std::string here = fmt::format("127.0.0.1:{}", port),
                    named = fmt::format("localhost:{}", port);
  const bool known = same_secret(request.token, token);
  const bool addressed = request.host == here || request.host == named;
  const bool own = !request.has_origin || request.origin == "http://" + request.host;
  if (!known || !addressed || !own) return 403;
  return request.method == "GET" || request.method == "POST" ? 0 : 405;
}

// The handler, for threads of a slow reader that outlive the server: they find it closed.
struct PageServer::Gate {
  std::shared_mutex mutex;
  PageHandler handler;
  bool closed = false;
};

void require_page_server() { http_maker(); }

PageServer::PageServer(PageHandler handler, int port) : token_(new_token()) {
  gate_ = std::make_shared<Gate>();
  gate_->handler = std::move(handler);
  PageRules rules;
  rules.door = [token = token_](const PageRequest& request, int at) {
    return refusal(request, token, at);
  };
  rules.answer = [gate = gate_](const PageRequest& request) {
    const std::shared_lock lock(gate->mutex);
    return gate->closed ? error_answer(503, "the program ends") : answered(gate->handler, request);
  };
  server_.reset(http_maker()(std::move(rules)));
  const int last = std::min(port + kPortsTried, 65536);
  while (port > 0 && port < last && !server_->begin(port)) ++port;
  if ((port <= 0 || port >= last) && !server_->begin(0))
    throw Error("no port of this machine is free to serve a page at");
  port_ = server_->port();
}

PageServer::~PageServer() {
  server_->end();
  const std::unique_lock lock(gate_->mutex);  // who is being answered still has the handler
  gate_->closed = true;
}

std::string PageServer::address() const {
  return fmt::format("http://127.0.0.1:{}/?token={}", port_, token_);
}

void serve_pages(const PageHandler& handler, int port,
                 const std::function<void(const std::string& address)>& tell,
                 const std::function<bool()>& stopped) {
  const auto desk = std::make_shared<Desk>();  // slow readers may outlive this call
  const PageServer server([desk](const PageRequest& request) { return desk->ask(request); }, port);
  tell(server.address());
  while (!stopped()) desk->answer(handler);
  desk->close();
}

}  // namespace passband
