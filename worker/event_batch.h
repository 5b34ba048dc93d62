#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "proto/event.pb.h"
#include "transport/bus.h"
#include "worker/placement.h"

namespace varpulis::worker {

// Pipelines that an event may pass before it is dropped: loops of routes end here.
inline constexpr uint32_t kMaxHops = 16;

// How many bytes of events one batch may hold, so that the broker takes it with all that is beside
// them; and what each event takes beside itself.
size_t MaxBatchBytes(const transport::Bus& bus);
inline constexpr size_t kBytesBesideEvent = 8;

// An empty batch for a payload of that size. On an arena of its own, because its parts are made
// here and freed on the runner's thread, which is where an allocator is slowest.
std::shared_ptr<varpulis::v1::EventBatch> NewEventBatch(size_t payload_bytes);

// What a publisher sent: an EventBatch; or JSON, when said so or when it begins with '{': one
// event, or
// {"events": […]}. INVALID_ARGUMENT when it is neither, an event has no type, or columns do not fit
// together. `batch` is empty before.
absl::Status DecodeEventBatch(absl::string_view payload, bool is_json,
                              varpulis::v1::EventBatch* batch);

// Columns become rows.
void ToRows(varpulis::v1::EventBatch* batch);
// In either form.
uint64_t CountEvents(const varpulis::v1::EventBatch& batch);

// Gives events without a timestamp this one: the entry to the system.
void StampMissing(int64_t now_ns, varpulis::v1::EventBatch* batch);

// The canonical text of a partition key's value (cluster-api.md §3.7): "42" for 42 and for 42.0.
std::string CanonicalKeyText(const varpulis::v1::Event& event, absl::string_view field);

// Removes the events that belong to other replicas of a keyed pipeline. Columns become rows.
void KeepOwnShare(const Placement& placement, varpulis::v1::EventBatch* batch);

}  // namespace varpulis::worker
