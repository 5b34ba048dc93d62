#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"
#include "rapidjson/document.h"

namespace varpulis::testing {

struct HttpReply {
  int status = 0;  // 0: no answer; `body` then says why
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case

  // The body as JSON; a null document when it is not.
  rapidjson::Document Json() const;
  // The value at a JSON pointer as compact JSON text ("/workers/0/id" → "\"worker-0\""); "" when
  // absent.
  std::string At(const char* pointer) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;
  std::string body;  // sent when not empty, as JSON unless a header says else
  std::map<std::string, std::string> headers;
  absl::Duration timeout = absl::Seconds(15);
};

// One blocking request on a connection of its own.
HttpReply Fetch(const std::string& host, int port, const HttpRequest& request);

}  // namespace varpulis::testing
