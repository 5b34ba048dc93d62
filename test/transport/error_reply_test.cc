#include "transport/error_reply.h"

#include <string>

#include "base/status_macros.h"
#include "gtest/gtest.h"

namespace varpulis::transport {
namespace {

using absl::StatusCode;

// cluster-api.md §0.2 and §2, row by row.
struct Row {
  const char* code;
  StatusCode absl_code;
  int http;
};
constexpr Row kRows[] = {
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
    {"payload_too_large", StatusCode::kResourceExhausted, 413},
    {"unsupported_media_type", StatusCode::kInvalidArgument, 415},
    {"worker_draining", StatusCode::kFailedPrecondition, 409},
    {"conflict", StatusCode::kFailedPrecondition, 409},
    {"already_exists", StatusCode::kAlreadyExists, 409},
    {"stale_epoch", StatusCode::kAborted, 409},
    {"not_leader", StatusCode::kUnavailable, 421},
    {"rate_limited", StatusCode::kResourceExhausted, 429},
    {"quota_exceeded", StatusCode::kResourceExhausted, 429},
    {"deploy_failed", StatusCode::kInternal, 500},
    {"migration_failed", StatusCode::kInternal, 500},
    {"internal", StatusCode::kInternal, 500},
    {"engine_error", StatusCode::kInternal, 500},
    {"unsupported", StatusCode::kUnimplemented, 501},
    {"routing_failed", StatusCode::kInternal, 502},
    {"no_workers_available", StatusCode::kUnavailable, 503},
    {"worker_unavailable", StatusCode::kUnavailable, 503},
    {"not_ready", StatusCode::kUnavailable, 503},
    {"cancelled", StatusCode::kCancelled, 503},
    {"worker_timeout", StatusCode::kDeadlineExceeded, 504},
};

TEST(ErrorReplyTest, EveryCodeRoundTrips) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.code);
    varpulis::v1::ErrorReply details;
    details.add_details()->set_path("pipelines[0]");
    const absl::Status status = MakeError(row.code, "it is so", details);
    EXPECT_EQ(status.code(), row.absl_code);
    EXPECT_EQ(status.message(), "it is so");
    EXPECT_EQ(ErrorCode(status), row.code);
    EXPECT_EQ(HttpStatus(status), row.http);

    const varpulis::v1::ErrorReply reply = ToErrorReply(status);
    EXPECT_EQ(reply.error(), "it is so");
    EXPECT_EQ(reply.code(), row.code);
    ASSERT_EQ(reply.details_size(), 1);
    EXPECT_EQ(reply.details(0).path(), "pipelines[0]");
    EXPECT_EQ(FromErrorReply(reply), status);
  }
}

TEST(ErrorReplyTest, AStatusWithoutTextHasADefault) {
  const struct {
    absl::Status status;
    const char* code;
    int http;
  } rows[] = {
      {absl::InvalidArgumentError("x"), "invalid_request", 400},
      {absl::OutOfRangeError("x"), "invalid_request", 400},
      {absl::UnauthenticatedError("x"), "unauthorized", 401},
      {absl::PermissionDeniedError("x"), "forbidden", 403},
      {absl::NotFoundError("x"), "not_found", 404},
      {absl::AlreadyExistsError("x"), "already_exists", 409},
      {absl::FailedPreconditionError("x"), "conflict", 409},
      {absl::AbortedError("x"), "conflict", 409},
      {absl::ResourceExhaustedError("x"), "quota_exceeded", 429},
      {absl::UnimplementedError("x"), "unsupported", 501},
      {absl::UnavailableError("x"), "worker_unavailable", 503},
      {absl::DeadlineExceededError("x"), "worker_timeout", 504},
      {absl::CancelledError("x"), "cancelled", 503},
      {absl::InternalError("x"), "internal", 500},
      {absl::UnknownError("x"), "internal", 500},
      {absl::DataLossError("x"), "internal", 500},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.status.ToString());
    EXPECT_EQ(ErrorCode(row.status), row.code);
    EXPECT_EQ(HttpStatus(row.status), row.http);
    EXPECT_EQ(ToErrorReply(row.status).code(), row.code);
  }
  EXPECT_EQ(HttpStatus(absl::OkStatus()), 200);
}

TEST(ErrorReplyTest, ContextChangesTheTextAndNothingElse) {
  const absl::Status status =
      WithContext(MakeError("group_not_found", "no group g"), "tearing down");
  EXPECT_EQ(ToErrorReply(status).error(), "tearing down: no group g");
  EXPECT_EQ(ErrorCode(status), "group_not_found");
  EXPECT_EQ(HttpStatus(status), 404);
}

TEST(ErrorReplyTest, KeepsTheCodeOfANewerPeer) {
  varpulis::v1::ErrorReply reply;
  reply.set_code("flux_inverted");
  reply.set_error("x");
  const absl::Status status = FromErrorReply(reply, 404);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(ErrorCode(status), "flux_inverted");
  EXPECT_EQ(HttpStatus(status), 404);
  EXPECT_EQ(FromErrorReply(reply).code(), StatusCode::kInternal);
  EXPECT_EQ(FromErrorReply(reply, 299).code(), StatusCode::kUnknown);
  EXPECT_EQ(HttpStatus(FromErrorReply(reply, 299)), 500);
}

TEST(ErrorReplyTest, AnEmptyReplyIsAnErrorToo) {
  EXPECT_EQ(ErrorCode(FromErrorReply({}, 429)), "rate_limited");
  EXPECT_EQ(FromErrorReply({}).code(), StatusCode::kInternal);
}

TEST(ErrorReplyTest, IgnoresAForeignPayload) {
  absl::Status status = absl::NotFoundError("x");
  status.SetPayload("varpulis/error", absl::Cord("\xff\xff\xff"));
  EXPECT_EQ(ErrorCode(status), "not_found");
}

}  // namespace
}  // namespace varpulis::transport
