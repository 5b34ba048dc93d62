#include "worker/inject_waiters.h"

#include "gtest/gtest.h"

#include "transport/error_reply.h"

namespace varpulis::worker {
namespace {

class InjectWaitersTest : public ::testing::Test {
 protected:
  InjectWaitersTest() {
    waiters_->Add("a", [this](auto answer) {
      ++answers_;
      answer_ = std::move(answer);
    });
  }
  static InjectWaiters::Response Outputs(uint64_t count) {
    InjectWaiters::Response response;
    response.set_output_count(count);
    return response;
  }

  int answers_ = 0;
  absl::StatusOr<InjectWaiters::Response> answer_ = absl::UnknownError("none yet");
  std::unique_ptr<InjectWaiters> waiters_ = std::make_unique<InjectWaiters>();
};

TEST_F(InjectWaitersTest, TheOutputsAnswer) {
  EXPECT_TRUE(waiters_->Knows("a"));
  EXPECT_FALSE(waiters_->Knows("b"));
  EXPECT_FALSE(waiters_->Knows(""));
  waiters_->Stored("a");
  EXPECT_EQ(answers_, 0);
  waiters_->Processed("a", Outputs(3));
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(answer_->output_count(), 3u);
  EXPECT_FALSE(answer_->pending());
  EXPECT_FALSE(waiters_->Knows("a"));
  waiters_->Late("a");
  EXPECT_EQ(answers_, 1);
}

TEST_F(InjectWaitersTest, WhatIsReadBackIsStored) {
  waiters_->Processed("a", Outputs(1));
  EXPECT_EQ(answers_, 1);
  waiters_->Stored("a");
  EXPECT_EQ(answers_, 1);
}

TEST_F(InjectWaitersTest, LateOutputsArePending) {
  waiters_->Stored("a");
  waiters_->Late("a");
  ASSERT_EQ(answers_, 1);
  EXPECT_TRUE(answer_->pending());
}

TEST_F(InjectWaitersTest, LateBeforeStoredWaitsForThat) {
  waiters_->Late("a");
  EXPECT_EQ(answers_, 0);
  waiters_->Stored("a");
  ASSERT_EQ(answers_, 1);
  EXPECT_TRUE(answer_->pending());
}

TEST_F(InjectWaitersTest, AFailureAnswersOnce) {
  waiters_->Fail("a", absl::ResourceExhaustedError("full"));
  ASSERT_EQ(answers_, 1);
  EXPECT_TRUE(absl::IsResourceExhausted(answer_.status()));
  waiters_->Processed("a", Outputs(1));
  EXPECT_EQ(answers_, 1);
}

TEST_F(InjectWaitersTest, ADuplicateIsPending) {
  waiters_->Duplicate("a");
  ASSERT_EQ(answers_, 1);
  EXPECT_TRUE(answer_->pending());
}

TEST_F(InjectWaitersTest, TheEndAnswersEverybody) {
  waiters_.reset();
  ASSERT_EQ(answers_, 1);
  EXPECT_EQ(transport::ErrorCode(answer_.status()), "worker_unavailable");
}

TEST_F(InjectWaitersTest, TheEndTellsThatItIsStored) {
  waiters_->Stored("a");
  waiters_.reset();
  ASSERT_EQ(answers_, 1);
  EXPECT_TRUE(answer_->pending());
}

}  // namespace
}  // namespace varpulis::worker
