#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "rest/http.h"

namespace varpulis::rest {

struct ResponseHeadOptions {
  bool keep_alive = true;
  bool http_1_0 = false;              // keep-alive is then said aloud
  bool chunked = false;               // a stream: no length
  absl::string_view request_id = {};  // echoed when printable
};

// Status line and headers, the blank line included.
std::string WriteResponseHead(const HttpResponse& response, const ResponseHeadOptions& options);

}  // namespace varpulis::rest
