#pragma once

#include "absl/status/status.h"

#include "engine/runtime/event.h"
#include "engine/runtime/value.h"
#include "proto/event.pb.h"

namespace varpulis::engine {

// Values and events ⇄ proto. ⊥ has no wire form: a missing field is left out by the callers, and
// ValueToProto writes it as null.
void ValueToProto(const Value& value, varpulis::v1::Value* out);

// `out` borrows the strings of `in`; lists and maps are built in `arena`. With `check_limits`
// (vpl.md §8.1) strings that are too long are cut, and too deep or too long lists are
// InvalidArgument.
absl::Status ValueFromProto(const varpulis::v1::Value& in, Arena& arena, Value* out,
                            bool check_limits = true);

void OutputToProto(const OutputEvent& event, varpulis::v1::Event* out);

// The row of `event` for `type`, in `arena`, borrowing the event's strings. REQUIRES: type != null.
absl::Status RowFromProto(const varpulis::v1::Event& event, const InputType& type, Arena& arena,
                          Row* row);
// What RowFromProto would refuse, for an event that no stream reads.
absl::Status CheckLimits(const varpulis::v1::Event& event);

}  // namespace varpulis::engine
