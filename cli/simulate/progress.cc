#include "cli/simulate/progress.h"

#include <algorithm>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace varpulis::cli {

void Progress::Update(Time now, const Counters& counters) {
  if (!DueAt(now)) return;
  const bool bar = form_ == Form::kBar;
  next_ = now + (bar ? kBarEvery : kCountersEvery);
  Write(bar ? absl::StrCat("\r", Text(now, counters), "\x1b[K")  // and nothing behind it
            : absl::StrCat(Text(now, counters), "\n"));
  shown_ = bar;
}

std::string Progress::Text(Time now, const Counters& counters) const {
  constexpr int64_t kWidth = 30;
  const std::chrono::duration<double> seconds = now - start_;
  std::string text;
  if (total_bytes_ > 0) {
    const int64_t bytes = std::clamp<int64_t>(counters.bytes, 0, total_bytes_);
    const double share = static_cast<double>(bytes) / static_cast<double>(total_bytes_);
    if (form_ == Form::kBar) {
      const auto full = static_cast<size_t>(share * kWidth);
      text = absl::StrCat("[", std::string(full, '='), std::string(kWidth - full, ' '), "] ");
    }
    absl::StrAppendFormat(&text, "%3.0f%%  ", share * 100);
  }
  absl::StrAppendFormat(&text, "events: %d, outputs: %d, seconds: %.1f", counters.events,
                        counters.outputs, seconds.count());
  return text;
}

void Progress::Hide() {
  if (!shown_) return;
  shown_ = false;
  Write("\r\x1b[K");
}

void Progress::Write(const std::string& text) const {
  // Nobody waits for this; what a terminal does not take is lost.
  if (write(fd_, text.data(), text.size()) < 0) return;
}

}  // namespace varpulis::cli
