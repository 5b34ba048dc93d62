#include "worker/event_batch.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/partition_hash.h"
#include "base/status_macros.h"
#include "engine/runtime/columns.h"
#include "engine/runtime/on_arena.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::worker {
namespace {

using varpulis::v1::Event;
using varpulis::v1::EventBatch;
using varpulis::v1::Value;

constexpr size_t kBatchOverhead = 1024;     // the batch's own fields, subject and headers
constexpr size_t kMaxBatchBytes = 1 << 20;  // also where the broker would take more

absl::StatusOr<EventBatch> DecodeJson(absl::string_view payload) {
  EventBatch batch;
  Event event;
  const absl::Status as_event = transport::FromJson(payload, &event);
  if (as_event.ok()) {
    *batch.add_events() = std::move(event);
    return batch;
  }
  // The key decides which of the two a publisher meant, so that the error is about that one.
  if (!absl::StrContains(payload, "\"events\"")) return as_event;
  RETURN_IF_ERROR(transport::FromJson(payload, &batch));
  return batch;
}

std::string FloatText(double number) {
  if (number == 0) return "0";  // -0.0 too
  char text[512];               // the largest double has 309 digits
  const bool integral = std::isfinite(number) && number == std::trunc(number);
  const auto end = integral
                       ? std::to_chars(text, text + sizeof(text), number, std::chars_format::fixed)
                       : std::to_chars(text, text + sizeof(text), number);
  return std::string(text, end.ptr);
}

std::string CanonicalText(const Value& value) {
  switch (value.kind_case()) {
    case Value::kStringValue:
      return value.string_value();
    case Value::kIntValue:
      return absl::StrCat(value.int_value());
    case Value::kFloatValue:
      return FloatText(value.float_value());
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kTimestampNs:
      return absl::StrCat(value.timestamp_ns());
    case Value::kDurationNs:
      return absl::StrCat(value.duration_ns());
    default:  // null; lists and maps are no keys
      return "";
  }
}

}  // namespace

size_t MaxBatchBytes(const transport::Bus& bus) {
  const int64_t payload = bus.max_payload();
  const size_t limit = payload > 0 ? static_cast<size_t>(payload) : kMaxBatchBytes;
  return std::max(std::min(limit, kMaxBatchBytes), 2 * kBatchOverhead) - kBatchOverhead;
}

std::shared_ptr<EventBatch> NewEventBatch(size_t payload_bytes) {
  constexpr size_t kLargestBlock = 64 << 10;
  return engine::NewOnArena<EventBatch>(4 * payload_bytes, kLargestBlock);
}

absl::Status DecodeEventBatch(absl::string_view payload, bool is_json, EventBatch* batch) {
  if (is_json || absl::StartsWith(payload, "{")) {
    ASSIGN_OR_RETURN(*batch, DecodeJson(payload));
  } else if (!batch->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return transport::MakeError("invalid_request", "payload is neither an EventBatch nor JSON");
  }
  for (const Event& event : batch->events()) {
    if (event.event_type().empty()) {
      return transport::MakeError("invalid_request", "event without event_type");
    }
  }
  if (batch->has_columns()) {
    if (!batch->events().empty()) {
      return transport::MakeError("invalid_request", "a batch has events or columns, not both");
    }
    if (const absl::Status fits = engine::CheckColumns(batch->columns()); !fits.ok()) {
      return transport::MakeError("invalid_request", absl::StrCat("columns: ", fits.message()));
    }
  }
  return absl::OkStatus();
}

void ToRows(EventBatch* batch) {
  if (!batch->has_columns()) return;
  engine::ColumnsToRows(batch->columns(), batch->mutable_events());
  batch->clear_columns();
}

uint64_t CountEvents(const EventBatch& batch) {
  return batch.events_size() + engine::CountEvents(batch.columns());
}

void StampMissing(int64_t now_ns, EventBatch* batch) {
  if (batch->has_columns()) {
    for (varpulis::v1::Shape& shape : *batch->mutable_columns()->mutable_shapes()) {
      if (!shape.timestamps_ns().empty()) continue;
      shape.mutable_timestamps_ns()->Resize(static_cast<int>(shape.count()), now_ns);
    }
  }
  for (Event& event : *batch->mutable_events()) {
    if (!event.has_timestamp_ns()) event.set_timestamp_ns(now_ns);
  }
}

std::string CanonicalKeyText(const Event& event, absl::string_view field) {
  for (const varpulis::v1::Field& candidate : event.fields()) {
    if (candidate.name() == field) return CanonicalText(candidate.value());
  }
  return "";
}

void KeepOwnShare(const Placement& placement, EventBatch* batch) {
  if (!placement.replicated() || !placement.partition_key.has_value()) return;
  ToRows(batch);
  auto* events = batch->mutable_events();
  int kept = 0;
  for (int i = 0; i < events->size(); ++i) {
    const std::string key = CanonicalKeyText(events->Get(i), *placement.partition_key);
    if (PartitionOf(key, placement.replicas) != placement.replica) continue;
    if (kept != i) events->SwapElements(kept, i);
    ++kept;
  }
  events->DeleteSubrange(kept, events->size() - kept);
}

}  // namespace varpulis::worker
