#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
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

// Outputs and what is said, in their order.
class Everything final : public OutputSink {
 public:
  void OnOutput(const OutputEvent& event) override { AppendJsonLine(event, &text); }
  void OnText(TextLevel, std::string_view said) override { text.append(said).append("\n"); }
  std::string text;
};

inline std::unique_ptr<Pipeline> CompileOrDie(std::string_view source) {
  auto pipeline = Pipeline::Compile(source);
  EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
  return pipeline.ok() ? std::move(*pipeline) : nullptr;
}

// Feeds the lines of `events` the way `simulate --immediate` does, at most `batch_rows` at once.
inline void Feed(Pipeline& pipeline, std::string_view events, OutputSink& sink,
                 size_t batch_rows = 1) {
  EventLineReader reader(pipeline.inputs(), nullptr, pipeline.arena());
  std::string padded(events);
  if (!padded.empty() && padded.back() != '\n') padded += '\n';
  std::string_view lines(padded);
  padded.append(EventLineReader::kReadableBehind, '\0');
  lines = std::string_view(padded.data(), lines.size());
  EventRows rows;
  while (!lines.empty()) {
    const absl::Status read = reader.ReadRows(&lines, batch_rows, &rows);
    ASSERT_TRUE(read.ok()) << lines.substr(0, lines.find('\n')) << ": " << read.message();
    if (!rows.rows.empty()) pipeline.PushRows(rows.runs, absl::MakeSpan(rows.rows), sink);
  }
}

// The outputs, which must be the same for every size of batch.
inline std::vector<std::string> RunLines(std::string_view source, std::string_view events) {
  std::vector<std::string> result;
  for (size_t batch_rows : {1, 7, 1024}) {
    CollectedLines sink;
    auto pipeline = CompileOrDie(source);
    if (pipeline != nullptr) {
      Feed(*pipeline, events, sink, batch_rows);
      pipeline->Finish(sink);
    }
    if (batch_rows == 1) {
      result = std::move(sink.lines);
    } else {
      EXPECT_EQ(result, sink.lines) << "with batches of " << batch_rows << ": " << source;
    }
  }
  return result;
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

// A program with events and the outputs wanted of them, as RunShort gives them.
struct ProgramCase {
  const char* what;
  const char* program;
  const char* events;
  std::vector<std::string> outputs;
};

template <size_t kCount>
void ExpectOutputs(const ProgramCase (&cases)[kCount]) {
  for (const ProgramCase& item : cases) {
    EXPECT_THAT(RunShort(item.program, item.events), testing::ElementsAreArray(item.outputs))
        << item.what;
  }
}

}  // namespace varpulis::engine
