#include "cli/simulate/progress.h"

#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

namespace varpulis::cli {
namespace {

using std::chrono::milliseconds;

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() {
    EXPECT_EQ(openpty(&master_, &slave_, nullptr, nullptr, nullptr), 0);
    fcntl(master_, F_SETFL, O_NONBLOCK);
  }
  ~ProgressTest() override {
    close(master_);
    close(slave_);
  }
  // What the terminal got since the last call.
  std::string Shown() const {
    char text[512];
    const ssize_t got = read(master_, text, sizeof(text));
    return got > 0 ? std::string(text, static_cast<size_t>(got)) : "";
  }

  int master_ = -1, slave_ = -1;
  const Progress::Time start_;
};

TEST_F(ProgressTest, ABarAfterASecond) {
  Progress progress(Progress::Form::kBar, slave_, 200, start_);
  progress.Update(start_ + milliseconds(999), {5, 1, 50});
  progress.Hide();
  EXPECT_EQ(Shown(), "");
  progress.Update(start_ + milliseconds(1000), {10, 2, 100});
  EXPECT_EQ(Shown(),
            "\r[===============               ]  50%  events: 10, outputs: 2, "
            "seconds: 1.0\x1b[K");
  progress.Update(start_ + milliseconds(1100), {11, 2, 110});
  EXPECT_EQ(Shown(), "");  // not that often
  progress.Update(start_ + milliseconds(1200), {20, 2, 200});
  EXPECT_EQ(Shown(),
            "\r[==============================] 100%  events: 20, outputs: 2, "
            "seconds: 1.2\x1b[K");
  progress.Hide();
  progress.Hide();
  EXPECT_EQ(Shown(), "\r\x1b[K");
}

TEST_F(ProgressTest, NoBarWithoutALength) {
  Progress progress(Progress::Form::kBar, slave_, -1, start_);
  progress.Update(start_ + milliseconds(2000), {10, 2, 100});
  EXPECT_EQ(Shown(), "\revents: 10, outputs: 2, seconds: 2.0\x1b[K");
}

TEST_F(ProgressTest, CountersAreLines) {
  Progress progress(Progress::Form::kCounters, slave_, 200, start_);
  progress.Update(start_ + milliseconds(1500), {10, 2, 100});
  progress.Update(start_ + milliseconds(2400), {10, 2, 100});
  progress.Hide();
  EXPECT_EQ(Shown(), " 50%  events: 10, outputs: 2, seconds: 1.5\r\n");
}

}  // namespace
}  // namespace varpulis::cli
