#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

#include "engine/runtime/value.h"

namespace varpulis::engine {

// Limits of one event (vpl.md §8.1), the same on every way in.
inline constexpr size_t kMaxLineBytes = 1 << 20;
inline constexpr size_t kMaxFields = 1024;
inline constexpr size_t kMaxStringBytes = 256 << 10;
inline constexpr int kMaxValueDepth = 32;
inline constexpr size_t kMaxListItems = 10'000;

// One event: its timestamp and a value per slot of its shape. The shape (event type, field name of
// each slot) is known from the plan wherever a row goes, so the row does not carry it. A field the
// event lacks is ⊥ in its slot.
struct Row {
  int64_t timestamp_ns = 0;
  Value* slots = nullptr;
};

// Rows of one shape, in order. Operators may reorder and drop in place. A mutable view.
using Batch = absl::Span<Row>;

// The fields of rows, by slot. Types whose rows have one layout share it.
class FieldTable {
 public:
  explicit FieldTable(std::vector<std::string> fields) : fields_(std::move(fields)) {
    for (size_t slot = 0; slot < fields_.size(); ++slot) {
      if (!fields_[slot].empty()) slot_of_.emplace(fields_[slot], static_cast<int>(slot));
    }
  }
  FieldTable(const FieldTable&) = delete;
  FieldTable& operator=(const FieldTable&) = delete;

  int Find(std::string_view field) const {  // -1: nobody reads it
    auto found = slot_of_.find(field);
    return found == slot_of_.end() ? -1 : found->second;
  }

 private:
  std::vector<std::string> fields_;
  absl::flat_hash_map<std::string_view, int> slot_of_;  // views into `fields_`
};

// What a reader must know of an event type some stream reads: the fields the program can see.
// Everything else may be skipped after validation. Owned by the Graph.
struct InputType {
  std::string name;
  std::shared_ptr<const FieldTable> fields;  // null: none by name
  int all_fields_slot = -1;  // when >= 0: takes a map of every field (for `.distinct()`)
  size_t slot_count = 0;
  struct Consumer {
    int stream;
    int port;
  };
  std::vector<Consumer> consumers;  // in declaration order
  // Its events take one path on which at most one operator can be observed, so that carrying many
  // along the path together gives the same outputs in the same order as one after the other.
  bool takes_batches = false;

  int SlotOf(std::string_view field) const { return fields == nullptr ? -1 : fields->Find(field); }
};

// So many rows of one type, among the rows of a batch; null for a type no stream reads.
struct RowRun {
  const InputType* type;
  size_t count;
};

class InputTypes {
 public:
  const InputType* Find(std::string_view name) const {
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }
  void Add(const InputType* type) { by_name_.emplace(type->name, type); }

 private:
  absl::flat_hash_map<std::string_view, const InputType*> by_name_;
};

// An event the program emits. A view, valid during OutputSink::OnOutput.
struct OutputEvent {
  std::string_view stream;
  std::string_view event_type;
  int64_t timestamp_ns = 0;
  absl::Span<const std::string> names;
  const Value* values = nullptr;  // by name; ⊥ = the event lacks the field

  // fn(std::string_view name, const Value& value) for each field it has.
  template <typename Fn>
  void ForEachField(Fn&& fn) const {
    for (size_t i = 0; i < names.size(); ++i) {
      if (!values[i].missing()) fn(std::string_view(names[i]), values[i]);
    }
  }
};

// What `.print`, `.log` and `.tap` say, and what went wrong while an event was in work.
enum class TextLevel { kTrace, kDebug, kInfo, kWarning, kError, kPrint };

class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void OnOutput(const OutputEvent& event) = 0;
  virtual void OnText(TextLevel, std::string_view /*text*/) {}
  // At the end of the input: what follows comes of closing the session that opened with this event,
  // counted from 1.
  virtual void OnSessionEnd(uint64_t /*opened*/) {}
};

}  // namespace varpulis::engine
