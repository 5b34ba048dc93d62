#include "base/status_macros.h"

#include <utility>

#include "gtest/gtest.h"

namespace varpulis {
namespace {

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value), Annotate("halving ", value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status Check(absl::Status status) {
  RETURN_IF_ERROR(std::move(status), Annotate("checking"));
  return absl::OkStatus();
}

TEST(StatusMacrosTest, PassesValuesThrough) { EXPECT_EQ(*Quarter(8), 2); }

TEST(StatusMacrosTest, AddsTheCallersContextOnce) {
  EXPECT_EQ(Quarter(3).status(), absl::InvalidArgumentError("halving 3: odd"));
  EXPECT_EQ(Quarter(6).status(), absl::InvalidArgumentError("odd"));
}

TEST(StatusMacrosTest, KeepsCodeAndPayloads) {
  absl::Status status = absl::AbortedError("lost");
  status.SetPayload("url", absl::Cord("detail"));
  const absl::Status checked = Check(status);
  EXPECT_EQ(checked.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(checked.message(), "checking: lost");
  EXPECT_EQ(checked.GetPayload("url"), absl::Cord("detail"));
  EXPECT_TRUE(Check(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace varpulis
