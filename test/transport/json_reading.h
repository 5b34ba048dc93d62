#pragma once

#include <string>

#include "gtest/gtest.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::transport {

// What the tests of the JSON codec say: read this, or tell why not.
template <typename M>
M Read(absl::string_view json) {
  M message;
  const absl::Status status = FromJson(json, &message);
  EXPECT_TRUE(status.ok()) << json << ": " << status;
  return message;
}

// The text of the refusal; "" when it was taken.
template <typename M>
std::string Refusal(absl::string_view json, const JsonReadOptions& options = {}) {
  M message;
  const absl::Status status = FromJson(json, &message, options);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorCode(status), "invalid_request");
  return std::string(status.message());
}

}  // namespace varpulis::transport
