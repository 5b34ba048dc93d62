#include "transport/error_reply.h"

#include "absl/strings/cord.h"
#include "glog/logging.h"

namespace varpulis::transport {
namespace {

constexpr char kPayloadUrl[] = "varpulis/error";

using absl::StatusCode;

struct ErrorCodeRow {
  absl::string_view text;
  StatusCode code;
  int http;
};

// The absl code says what a caller should do, the text what happened, HTTP what the documentation
// says.
constexpr ErrorCodeRow kTable[] = {
    {"invalid_request", StatusCode::kInvalidArgument, 400},
    {"invalid_limit", StatusCode::kInvalidArgument, 400},
    {"connector_validation", StatusCode::kInvalidArgument, 400},
    {"parse_error", StatusCode::kInvalidArgument, 400},
    {"unauthorized", StatusCode::kUnauthenticated, 401},
    {"invalid_api_key", StatusCode::kUnauthenticated, 401},
    {"invalid_admin_key", StatusCode::kUnauthenticated, 401},
    {"forbidden", StatusCode::kPermissionDenied, 403},
    {"admin_disabled", StatusCode::kPermissionDenied, 403},
    {"not_found", StatusCode::kNotFound, 404},
    {"worker_not_found", StatusCode::kNotFound, 404},
    {"group_not_found", StatusCode::kNotFound, 404},
    {"pipeline_not_found", StatusCode::kNotFound, 404},
    {"migration_not_found", StatusCode::kNotFound, 404},
    {"connector_not_found", StatusCode::kNotFound, 404},
    {"tenant_not_found", StatusCode::kNotFound, 404},
    {"no_route", StatusCode::kNotFound, 404},
    {"method_not_allowed", StatusCode::kUnimplemented, 405},
    {"conflict", StatusCode::kFailedPrecondition, 409},
    {"worker_draining", StatusCode::kFailedPrecondition, 409},
    {"already_exists", StatusCode::kAlreadyExists, 409},
    {"stale_epoch", StatusCode::kAborted, 409},
    {"payload_too_large", StatusCode::kResourceExhausted, 413},
    {"unsupported_media_type", StatusCode::kInvalidArgument, 415},
    {"not_leader", StatusCode::kUnavailable, 421},
    {"rate_limited", StatusCode::kResourceExhausted, 429},
    {"quota_exceeded", StatusCode::kResourceExhausted, 429},
    {"internal", StatusCode::kInternal, 500},
    {"deploy_failed", StatusCode::kInternal, 500},
    {"migration_failed", StatusCode::kInternal, 500},
    {"engine_error", StatusCode::kInternal, 500},
    {"unsupported", StatusCode::kUnimplemented, 501},
    {"routing_failed", StatusCode::kInternal, 502},
    {"worker_unavailable", StatusCode::kUnavailable, 503},
    {"no_workers_available", StatusCode::kUnavailable, 503},
    {"not_ready", StatusCode::kUnavailable, 503},
    {"cancelled", StatusCode::kCancelled, 503},
    {"worker_timeout", StatusCode::kDeadlineExceeded, 504},
};

const ErrorCodeRow* FindRow(absl::string_view text) {
  for (const ErrorCodeRow& row : kTable) {
    if (row.text == text) return &row;
  }
  return nullptr;
}

// What a Status means that nobody gave a text.
absl::string_view DefaultText(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      return "invalid_request";
    case StatusCode::kUnauthenticated:
      return "unauthorized";
    case StatusCode::kPermissionDenied:
      return "forbidden";
    case StatusCode::kNotFound:
      return "not_found";
    case StatusCode::kAlreadyExists:
      return "already_exists";
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAborted:
      return "conflict";
    case StatusCode::kResourceExhausted:
      return "quota_exceeded";
    case StatusCode::kUnimplemented:
      return "unsupported";
    case StatusCode::kUnavailable:
      return "worker_unavailable";
    case StatusCode::kDeadlineExceeded:
      return "worker_timeout";
    case StatusCode::kCancelled:
      return "cancelled";
    default:
      return "internal";
  }
}

// Code and details only: the text is the Status's own, to which callers may have added context.
varpulis::v1::ErrorReply PayloadOf(const absl::Status& status) {
  varpulis::v1::ErrorReply reply;
  if (const auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    reply.ParseFromString(std::string(*payload));  // unreadable: as if it had none
  }
  return reply;
}

absl::Status Build(StatusCode absl_code, absl::string_view code, absl::string_view message,
                   const varpulis::v1::ErrorReply& with_details) {
  absl::Status status(absl_code, message);
  varpulis::v1::ErrorReply payload;
  payload.set_code(std::string(code));
  *payload.mutable_details() = with_details.details();
  status.SetPayload(kPayloadUrl, absl::Cord(payload.SerializeAsString()));
  return status;
}

}  // namespace

absl::Status MakeError(absl::string_view code, absl::string_view message) {
  return MakeError(code, message, varpulis::v1::ErrorReply());
}

absl::Status MakeError(absl::string_view code, absl::string_view message,
                       const varpulis::v1::ErrorReply& with_details) {
  const ErrorCodeRow* row = FindRow(code);
  LOG_IF(DFATAL, row == nullptr) << "error code not in the table: " << code;
  return Build(row != nullptr ? row->code : StatusCode::kInternal, code, message, with_details);
}

std::string ErrorCode(const absl::Status& status) {
  std::string code = PayloadOf(status).code();
  return code.empty() ? std::string(DefaultText(status.code())) : code;
}

bool IsServiceError(const absl::Status& status) {
  return status.GetPayload(kPayloadUrl).has_value();
}

int HttpStatus(const absl::Status& status) {
  if (status.ok()) return 200;
  const ErrorCodeRow* row = FindRow(ErrorCode(status));
  if (row == nullptr) row = FindRow(DefaultText(status.code()));  // a newer peer's code
  return row->http;
}

varpulis::v1::ErrorReply ToErrorReply(const absl::Status& status) {
  varpulis::v1::ErrorReply reply = PayloadOf(status);
  if (reply.code().empty()) reply.set_code(std::string(DefaultText(status.code())));
  reply.set_error(std::string(status.message()));
  return reply;
}

absl::Status FromErrorReply(const varpulis::v1::ErrorReply& reply) {
  return FromErrorReply(reply, 500);
}

absl::Status FromErrorReply(const varpulis::v1::ErrorReply& reply, int http_status) {
  const ErrorCodeRow* row = FindRow(reply.code());
  if (row != nullptr) return Build(row->code, reply.code(), reply.error(), reply);
  // A newer peer's code, or another kind of service: the number tells the family.
  for (const ErrorCodeRow& candidate : kTable) {
    if (candidate.http != http_status) continue;
    return Build(candidate.code, reply.code().empty() ? candidate.text : reply.code(),
                 reply.error(), reply);
  }
  return Build(StatusCode::kUnknown, reply.code().empty() ? "internal" : reply.code(),
               reply.error(), reply);
}

}  // namespace varpulis::transport
