#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "rest/http.h"

namespace varpulis::rest {

// Which web pages may use the API from a browser. Without a list none may: a page that is not ours
// could otherwise command a coordinator on the reader's own machine, where no key protects it.
class Cors {
 public:
  explicit Cors(std::vector<std::string> origins) : origins_(std::move(origins)) {}

  // A browser names the origin with every request that changes something. Absent: not a browser.
  bool MayChange(absl::string_view origin, absl::string_view host) const;
  bool Listed(absl::string_view origin) const;
  // Headers for an answer to `origin`, nothing for one that is not listed.
  void AddTo(absl::string_view origin, HttpResponse& response) const;
  // Answer to OPTIONS; `methods` is the path's own list.
  HttpResponse Preflight(absl::string_view origin, const std::string& methods) const;

 private:
  std::vector<std::string> origins_;
};

}  // namespace varpulis::rest
