#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "rest/http.h"

namespace varpulis::rest {

// Every error leaves as {"error": …, "code": …}, "details" added where there are any. Status and
// code text of a failed request come from transport/error_reply, the one table of the project.
HttpResponse ErrorResponse(const absl::Status& status);

// Errors of HTTP itself, which NATS does not know: request_timeout, header_too_large, …
HttpResponse ErrorResponse(int http_status, absl::string_view code, absl::string_view message);

const char* ReasonPhrase(int http_status);

}  // namespace varpulis::rest
