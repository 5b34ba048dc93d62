#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/io/event_line.h"
#include "engine/io/json_writer.h"
#include "engine/pipeline.h"

namespace varpulis::engine {

// Output records as JSON lines, without newlines.
class CollectedLines final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override {
    std::string line;
    AppendJsonLine(event, &line);
    line.pop_back();
    lines.push_back(line);
  }
  std::vector<std::string> lines;
};

inline std::unique_ptr<Pipeline> CompileOrDie(std::string_view source) {
  auto pipeline = Pipeline::Compile(source);
  EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
  return pipeline.ok() ? std::move(*pipeline) : nullptr;
}

// Feeds the lines of `events` the way `simulate --immediate` does.
inline void Feed(Pipeline& pipeline, std::string_view events, OutputSink& sink) {
  EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  while (!events.empty()) {
    const size_t newline = events.find('\n');
    const std::string_view line = events.substr(0, newline);
    events.remove_prefix(newline == std::string_view::npos ? events.size() : newline + 1);
    LineEvent event;
    const absl::Status read = reader.Read(line, &event);
    ASSERT_TRUE(read.ok()) << line << ": " << read.message();
    if (event.present) pipeline.PushRow(event.type, event.row, sink);
  }
}

inline std::vector<std::string> RunLines(std::string_view source, std::string_view events) {
  CollectedLines sink;
  auto pipeline = CompileOrDie(source);
  if (pipeline != nullptr) Feed(*pipeline, events, sink);
  return sink.lines;
}

// Stream name and fields only: `Cold{"id":1}`.
inline std::vector<std::string> RunShort(std::string_view source, std::string_view events) {
  std::vector<std::string> result;
  for (const std::string& line : RunLines(source, events)) {
    const size_t name = line.find(':') + 2;
    result.push_back(line.substr(name, line.find('"', name) - name) +
                     line.substr(line.find("\"fields\":") + 9));
    result.back().pop_back();
  }
  return result;
}

}  // namespace varpulis::engine
