#include "rest/cors.h"

#include <algorithm>

#include "absl/strings/strip.h"

#include "rest/http_error.h"

namespace varpulis::rest {

bool Cors::Listed(absl::string_view origin) const {
  return !origin.empty() && std::any_of(origins_.begin(), origins_.end(), [&](const auto& listed) {
    return listed == "*" || listed == origin;
  });
}

bool Cors::MayChange(absl::string_view origin, absl::string_view host) const {
  if (origin.empty() || Listed(origin)) return true;
  absl::string_view own = origin;  // our own page, served from this address
  return (absl::ConsumePrefix(&own, "http://") || absl::ConsumePrefix(&own, "https://")) &&
         own == host;
}

void Cors::AddTo(absl::string_view origin, HttpResponse& response) const {
  if (!Listed(origin)) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  response.headers.emplace_back("Access-Control-Expose-Headers", "x-request-id, retry-after");
  response.headers.emplace_back("Vary", "Origin");
}

HttpResponse Cors::Preflight(absl::string_view origin, const std::string& methods) const {
  if (methods.empty()) return ErrorResponse(404, "not_found", "no such path");
  HttpResponse response;
  response.status = 204;
  response.headers.emplace_back("Allow", methods);
  if (Listed(origin)) {
    response.headers.emplace_back("Access-Control-Allow-Methods",
                                  "GET, POST, PUT, DELETE, OPTIONS");
    response.headers.emplace_back(
        "Access-Control-Allow-Headers",
        "content-type, x-api-key, authorization, x-request-id, idempotency-key, traceparent");
    response.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return response;
}

}  // namespace varpulis::rest
