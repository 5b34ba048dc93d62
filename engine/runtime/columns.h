#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"

#include "engine/runtime/event.h"
#include "engine/runtime/value.h"
#include "proto/event.pb.h"

namespace varpulis::engine {

// Reading the columnar form of event batches. ColumnsWriter is the other way.

// A batch may say with a few bytes that it has many events, or that they share a long text.
inline constexpr uint64_t kMaxColumnEvents = 1 << 20;
inline constexpr uint64_t kMaxColumnText = 64 << 20;  // bytes, when nothing is shared

// InvalidArgument unless all sizes and indices fit together. What the readers below require.
absl::Status CheckColumns(const varpulis::v1::Columns& columns);

uint64_t CountEvents(const varpulis::v1::Columns& columns);

// The same events in the row form, appended.
void ColumnsToRows(const varpulis::v1::Columns& columns,
                   google::protobuf::RepeatedPtrField<varpulis::v1::Event>* events);

// The array a column without `kinds` has its values in; kMissing when all are empty.
enum class ColumnArray : uint8_t {
  kMissing,
  kNull,
  kBool,
  kInt,
  kFloat,
  kString,
  kTimestamp,
  kDuration,
  kValue
};
ColumnArray OnlyArray(const varpulis::v1::Column& column);

// Events of a batch as rows of the types that a program reads: no allocation per event, and columns
// nobody reads are passed over. Strings are views of `columns`, which must outlive the rows; the
// rest is in `arena`. REQUIRES: CheckColumns is OK. Thread-compatible.
class ColumnsReader {
 public:
  ColumnsReader(const varpulis::v1::Columns& columns, const InputTypes& inputs, Arena& arena);

  // Up to `max_rows` of the next events, in their order, in place of what `rows()` and `runs()`
  // had. False when there are no more. An event that breaks a limit of vpl.md §8.1 is left out.
  bool Next(size_t max_rows);
  std::vector<Row>& rows() { return rows_; }
  const std::vector<RowRun>& runs() const { return runs_; }

  uint64_t refused() const { return refused_; }
  const absl::Status& why_refused() const { return why_refused_; }  // the first of them

 private:
  // What is read of a column, and how far.
  struct Field {
    const varpulis::v1::Column* column;
    int slot;
    ColumnArray only;
    int next[static_cast<size_t>(ColumnArray::kValue) + 1] = {};  // by array
  };
  struct ShapeState {
    const varpulis::v1::Shape* shape;
    const InputType* type = nullptr;
    absl::Status refused = {};  // with all its events
    std::vector<Field> fields = {};
    int done = 0;   // events of earlier calls
    int count = 0;  // of this one
    int placed = 0;
    Value* slots = nullptr;
    std::vector<bool> bad = {};  // of this call; empty: none
  };

  ShapeState StateOf(const varpulis::v1::Shape& shape, const InputTypes& inputs) const;
  size_t ShapeOf(size_t event) const;
  void Fill(ShapeState& shape);
  void FillWhole(ShapeState& shape);
  // `to`: the first event's value; the others' follow at distances of `stride`.
  void FillField(ShapeState& shape, Field& field, Value* to, size_t stride);
  void FillMixed(ShapeState& shape, Field& field, Value* to, size_t stride);
  Value TakeValue(ShapeState& shape, const Field& field, int index, int event);
  void Place(ShapeState& shape);
  void Refuse(const absl::Status& why);

  const varpulis::v1::Columns& columns_;
  Arena& arena_;
  std::vector<Value> strings_;
  std::vector<ShapeState> shapes_;
  size_t next_ = 0;
  size_t total_ = 0;
  std::vector<Row> rows_;
  std::vector<RowRun> runs_;
  uint64_t refused_ = 0;
  absl::Status why_refused_;
};

}  // namespace varpulis::engine
