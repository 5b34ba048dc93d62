#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/cluster.pb.h"

namespace varpulis::transport {

// One table for all borders: error code text ⇄ absl code ⇄ HTTP status (cluster-api.md §0.2).
// The text is what programs switch on; it travels in a payload of the Status.

// `code` must be in the table: "group_not_found", "invalid_request", … The absl code follows from
// it.
absl::Status MakeError(absl::string_view code, absl::string_view message);
absl::Status MakeError(absl::string_view code, absl::string_view message,
                       const varpulis::v1::ErrorReply& with_details);  // takes only `details`

// The text for any Status: its payload, or the default of its absl code (INVALID_ARGUMENT →
// invalid_request, UNAVAILABLE → worker_unavailable, DEADLINE_EXCEEDED → worker_timeout, …).
std::string ErrorCode(const absl::Status& status);
// Whether the status was made as one of the table, here or by whoever answered, rather than by a
// bus or a library.
bool IsServiceError(const absl::Status& status);
int HttpStatus(const absl::Status& status);  // 200 for OK

varpulis::v1::ErrorReply ToErrorReply(const absl::Status& status);
// Never OK. A code that is not in the table (a newer peer) is kept and takes the absl code of its
// HTTP number, which the reply's header carries.
absl::Status FromErrorReply(const varpulis::v1::ErrorReply& reply);
absl::Status FromErrorReply(const varpulis::v1::ErrorReply& reply, int http_status);

}  // namespace varpulis::transport
