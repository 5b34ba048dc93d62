#include "test/faults/outputs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "engine/runtime/columns.h"

namespace varpulis::faults {
namespace {

transport::EventStreamOptions StreamOf(const transport::Subjects::Stream& stream) {
  transport::EventStreamOptions options;
  options.name = stream.name;
  options.subject = stream.subject;
  return options;
}

}  // namespace

std::string LineOf(const v1::Event& event, bool as_output) {
  std::string line = "{";
  if (as_output) absl::StrAppend(&line, "\"stream\":\"", event.event_type(), "\",");
  absl::StrAppend(
      &line, "\"event_type\":\"", event.event_type(), "\",\"timestamp\":\"",
      absl::FormatTime(
          event.timestamp_ns() % 1'000'000'000 == 0 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%E3SZ",
          absl::FromUnixNanos(event.timestamp_ns()), absl::UTCTimeZone()),
      "\",\"fields\":{");
  for (int i = 0; i < event.fields_size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",", "\"", event.fields(i).name(),
                    "\":", event.fields(i).value().int_value());
  }
  return absl::StrCat(line, "}}");
}

// ---------------------------------------------------------------- outputs

OutputReader::OutputReader(Site& site, const GroupUnderTest& group, const std::string& group_id,
                           bool exactly_once)
    : streams_(site.bus().OpenEventStreams()) {
  if (exactly_once) {
    reader_ = streams_->Read(
        StreamOf(site.subjects().OutboxStream(group_id, group.exit, 0)), 0,
        [this](const transport::StoredMessage& stored) { Take(stored.message.payload()); });
    return;
  }
  auto subscribed = site.bus().Subscribe(
      {.subject = site.subjects().Output(group_id, group.exit)},
      [this](const transport::InboundMessage& message) { Take(message.payload()); });
  if (subscribed.ok()) reader_ = *std::move(subscribed);
  site.bus()
      .Flush(absl::Seconds(5))
      .IgnoreError();  // without it nothing is seen, which is a failure
}

void OutputReader::Take(absl::string_view payload) {
  const absl::Time now = absl::Now();
  v1::EventBatch batch;
  const bool readable = batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  MutexLock lock(mutex_);
  if (!readable) outputs_.push_back({0, "unreadable", now});
  if (batch.has_columns()) engine::ColumnsToRows(batch.columns(), batch.mutable_events());
  for (const v1::Event& event : batch.events()) {
    Output& output = outputs_.emplace_back();
    if (!event.fields().empty() && event.fields(0).name() == "n") {
      output.n = event.fields(0).value().int_value();
    }
    output.line = LineOf(event, /*as_output=*/true);
    output.seen = now;
    highest_ = std::max(highest_, output.n);
  }
}

std::vector<Output> OutputReader::All() const {
  MutexLock lock(mutex_);
  return outputs_;
}

int64_t OutputReader::highest() const {
  MutexLock lock(mutex_);
  return highest_;
}

size_t OutputReader::size() const {
  MutexLock lock(mutex_);
  return outputs_.size();
}

// ---------------------------------------------------------------- inputs

InputReader::InputReader(Site& site, const std::string& group_id, const std::string& pipeline)
    : streams_(site.bus().OpenEventStreams()) {
  reader_ = streams_->Read(StreamOf(site.subjects().InputStream(group_id, pipeline)), 0,
                           [this](const transport::StoredMessage& stored) { Take(stored); });
}

void InputReader::Take(const transport::StoredMessage& stored) {
  v1::EventBatch batch;
  const absl::string_view payload = stored.message.payload();
  const bool readable = batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()));
  MutexLock lock(mutex_);
  missed_ += stored.sequence - last_sequence_ - 1;
  last_sequence_ = stored.sequence;
  if (!readable) return;
  int input = 0;
  uint32_t index = batch.source_offset();
  uint32_t left = batch.source_counts_size() > 0 ? batch.source_counts(0) : 0;
  if (batch.has_columns()) engine::ColumnsToRows(batch.columns(), batch.mutable_events());
  for (const v1::Event& event : batch.events()) {
    while (left == 0 && input + 1 < batch.source_counts_size()) {
      left = batch.source_counts(++input);
      index = 0;
    }
    const bool known = input < batch.source_positions_size();
    if (!known || taken_.emplace(batch.source(), batch.source_positions(input), index).second) {
      lines_.push_back(LineOf(event, /*as_output=*/false));
    }
    ++index;
    --left;
  }
}

absl::StatusOr<std::vector<std::string>> InputReader::Lines() const {
  MutexLock lock(mutex_);
  if (missed_ > 0) {
    return absl::DataLossError(
        absl::StrCat(missed_, " messages of the joining pipeline's input were trimmed unread"));
  }
  return lines_;
}

}  // namespace varpulis::faults
