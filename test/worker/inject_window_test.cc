#include "worker/inject_window.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace varpulis::worker {
namespace {

varpulis::v1::WorkerInjectResponse Answer(int outputs) {
  varpulis::v1::WorkerInjectResponse answer;
  for (int i = 0; i < outputs; ++i) answer.add_output_events()->set_event_type("Out");
  return answer;
}

TEST(InjectWindowTest, RemembersAnswersById) {
  InjectWindow window;
  EXPECT_EQ(window.Find("a"), nullptr);
  window.Remember("a", Answer(2));
  ASSERT_NE(window.Find("a"), nullptr);
  EXPECT_EQ(window.Find("a")->output_events_size(), 2);
  EXPECT_EQ(window.Find("b"), nullptr);
}

TEST(InjectWindowTest, ForgetsTheOldestBeyondItsNumber) {
  InjectWindow window;
  for (size_t i = 0; i <= InjectWindow::kMaxAnswers; ++i) {
    window.Remember(absl::StrCat(i), Answer(0));
  }
  EXPECT_EQ(window.size(), InjectWindow::kMaxAnswers);
  EXPECT_EQ(window.Find("0"), nullptr);
  EXPECT_NE(window.Find("1"), nullptr);
}

TEST(InjectWindowTest, IsBoundedInBytesButKeepsTheNewest) {
  InjectWindow window;
  varpulis::v1::WorkerInjectResponse large;
  large.add_output_events()->set_event_type(std::string(InjectWindow::kMaxBytes, 'x'));
  window.Remember("small", Answer(0));
  window.Remember("large", large);
  EXPECT_EQ(window.Find("small"), nullptr);
  EXPECT_NE(window.Find("large"), nullptr);
  window.Remember("next", Answer(0));
  EXPECT_EQ(window.Find("large"), nullptr);
  EXPECT_NE(window.Find("next"), nullptr);
}

}  // namespace
}  // namespace varpulis::worker
