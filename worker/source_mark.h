#pragma once

#include <compare>
#include <cstdint>

#include "absl/status/status.h"

#include "proto/event.pb.h"

namespace varpulis::worker {

// How far the outputs of one writer are on one subject: those of all inputs below `position`, and
// the first `count` of that one.
struct SourceMark {
  uint64_t position = 0;
  uint32_t count = 0;

  friend auto operator<=>(const SourceMark&, const SourceMark&) = default;
};

// INVALID_ARGUMENT when the batch's account of its sources does not fit its events.
absl::Status CheckSources(const varpulis::v1::EventBatch& batch);

// Accounts for one event more: the `index`th output of `position`.
void AddSource(uint64_t position, uint32_t index, varpulis::v1::EventBatch* batch);

// Takes the last event off the account.
void RemoveLastSource(varpulis::v1::EventBatch* batch);

// The mark after the batch, which must not be empty.
SourceMark EndOf(const varpulis::v1::EventBatch& batch);

// Whether the batch has events that are below `mark`.
bool BeginsBefore(const SourceMark& mark, const varpulis::v1::EventBatch& batch);

// Removes what is below `mark` from the front. Returns how many events that were. Columns become
// rows, if need be.
uint64_t DropBefore(const SourceMark& mark, varpulis::v1::EventBatch* batch);

}  // namespace varpulis::worker
