#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace varpulis::cli {

// How far a simulation is. Value type.
struct Counters {
  uint64_t events = 0;
  uint64_t outputs = 0;
  int64_t bytes = 0;  // of the event file
};

// Shows the way of a simulation on a terminal: a bar in the last line, or a line of counters every
// second. Says nothing in the first second. Thread-compatible; is told the time.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Form { kNone, kBar, kCounters };

  // Writes to `fd`. `total_bytes` of the event file, -1: not known.
  Progress(Form form, int fd, int64_t total_bytes, Time start)
      : form_(form), fd_(fd), total_bytes_(total_bytes), start_(start), next_(start + kFirst) {}

  bool DueAt(Time now) const { return form_ != Form::kNone && now >= next_; }
  void Update(Time now, const Counters& counters);
  // Takes the bar away, before something else is written to the terminal.
  void Hide();

 private:
  static constexpr std::chrono::milliseconds kFirst{1000}, kBarEvery{200}, kCountersEvery{1000};

  std::string Text(Time now, const Counters& counters) const;
  void Write(const std::string& text) const;

  const Form form_;
  const int fd_;
  const int64_t total_bytes_;
  const Time start_;
  Time next_;
  bool shown_ = false;
};

}  // namespace varpulis::cli
