// What speaks HTTP for models/page_server.h: cpp-httplib, in a module of its own (models/http/), so
// that the programs run where it is not.
#pragma once
#include <functional>
#include <memory>
#include <string>

namespace passband {

struct PageRequest {
  std::string method, path;  // "GET", "/"
  std::string token;         // of the address; what was given twice is ""
  std::string host, origin;  // headers; absent, or given twice: ""
  bool has_origin = false;
  std::string body;
};

struct PageAnswer {
  int status = 200;
  std::string type = "text/html; charset=utf-8";
  std::string body = {};
};

// What a server does with requests: `door` is asked before anything of a body is read, and gives
// the status that refuses it, or 0.
struct PageRules {
  std::function<int(const PageRequest&, int port)> door;
  std::function<PageAnswer(const PageRequest&)> answer;
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  // Begins to serve on 127.0.0.1 in threads of its own; false where the port is not free. 0: any.
  virtual bool begin(int port) = 0;
  virtual int port() const = 0;
  // Ends it within a second; what is still at work then is left alone.
  virtual void end() = 0;
};

using MakeHttpServer = HttpServer* (*)(PageRules rules);
inline constexpr const char* kHttpModule = "passband_http.so";
inline constexpr const char* kMakeHttpServer = "passband_make_http_server";

}  // namespace passband
