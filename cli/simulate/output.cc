#include "cli/simulate/output.h"

#include <algorithm>
#include <cerrno>
#include <iostream>

#include <unistd.h>

#include "engine/io/json_writer.h"

namespace varpulis::cli {

void SimulationOutput::OnOutput(const engine::OutputEvent& event) {
  if (quiet_ || closed_) return;
  const size_t from = buffer_.size();
  engine::AppendJsonLine(event, &buffer_);
  Added(from);
}

void SimulationOutput::AddLines(std::string_view lines) {
  if (quiet_ || closed_) return;
  const size_t from = buffer_.size();
  buffer_.append(lines);
  Added(from);
}

void SimulationOutput::Added(size_t from) {
  const uint64_t said = line_bytes_;
  line_bytes_ += buffer_.size() - from;
  if (said < skip_line_bytes_) {
    buffer_.erase(from, std::min<uint64_t>(skip_line_bytes_ - said, buffer_.size() - from));
  }
  if (buffer_.size() >= kFlushBytes) Flush();
}

void SimulationOutput::OnText(engine::TextLevel level, std::string_view text) {
  static constexpr const char* kNames[] = {"trace: ", "debug: ", "", "warning: ", "error: ", ""};
  if (level == engine::TextLevel::kTrace) return;
  if (texts_++ < skip_texts_) return;
  if (before_write_) before_write_();
  std::cerr << kNames[static_cast<int>(level)] << text << "\n";
}

void SimulationOutput::StartOver() {
  skip_line_bytes_ = std::max(skip_line_bytes_, line_bytes_);
  skip_texts_ = std::max(skip_texts_, texts_);
  line_bytes_ = texts_ = 0;
}

void SimulationOutput::Flush() {
  if (buffer_.empty()) return;
  if (before_write_) before_write_();
  size_t written = 0;
  while (written < buffer_.size() && !closed_) {
    const ssize_t count = write(STDOUT_FILENO, buffer_.data() + written, buffer_.size() - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      closed_ = true;
      // A reader that has seen enough, as `head` does, is no error.
      if (errno != EPIPE) error_ = absl::ErrnoToStatus(errno, "cannot write the output");
    }
  }
  buffer_.clear();
}

}  // namespace varpulis::cli
