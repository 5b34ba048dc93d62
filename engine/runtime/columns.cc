#include "engine/runtime/columns.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/all_fields.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

using varpulis::v1::Column;
using varpulis::v1::Columns;
using varpulis::v1::Shape;

// What stands in the other arrays.
Value PlainValue(const Column& column, ColumnArray array, int index) {
  switch (array) {
    case ColumnArray::kNull:
      return Value::Null();
    case ColumnArray::kBool:
      return Value::Bool(column.bools(index));
    case ColumnArray::kInt:
      return Value::Int(column.ints(index));
    case ColumnArray::kFloat:
      return Value::Float(column.floats(index));
    case ColumnArray::kTimestamp:
      return Value::Timestamp(column.timestamps_ns(index));
    case ColumnArray::kDuration:
      return Value::Duration(column.durations_ns(index));
    case ColumnArray::kMissing:
    case ColumnArray::kString:
    case ColumnArray::kValue:
      break;
  }
  return {};
}

// fn(string) for each string of the batch, in order.
template <typename Fn>
void ForEachString(const Columns& columns, Fn fn) {
  const char* at = columns.text().data();
  for (const uint32_t size : columns.text_sizes()) {
    fn(std::string_view(at, size));
    at += size;
  }
}

}  // namespace

ColumnsReader::ColumnsReader(const Columns& columns, const InputTypes& inputs, Arena& arena)
    : columns_(columns), arena_(arena), total_(CountEvents(columns)) {
  strings_.reserve(columns.text_sizes_size());
  ForEachString(columns, [this](std::string_view text) {
    strings_.push_back(Value::String(CutAtCharacter(text, kMaxStringBytes)));
  });
  shapes_.reserve(columns.shapes_size());
  for (const Shape& shape : columns.shapes()) shapes_.push_back(StateOf(shape, inputs));
}

ColumnsReader::ShapeState ColumnsReader::StateOf(const Shape& shape,
                                                 const InputTypes& inputs) const {
  ShapeState state{.shape = &shape};
  if (shape.timestamps_ns().empty()) {
    state.refused = absl::InvalidArgumentError("event has no timestamp");
  } else if (static_cast<size_t>(shape.columns_size()) > kMaxFields) {
    state.refused =
        absl::InvalidArgumentError(absl::StrCat("event has more than ", kMaxFields, " fields"));
  }
  state.type = inputs.Find(shape.event_type());
  if (state.type == nullptr || !state.refused.ok()) return state;
  for (const Column& column : shape.columns()) {
    const int slot = state.type->SlotOf(column.name());
    if (slot < 0 && state.type->all_fields_slot < 0) continue;
    state.fields.push_back({.column = &column, .slot = slot, .only = OnlyArray(column)});
  }
  return state;
}

size_t ColumnsReader::ShapeOf(size_t event) const {
  return columns_.order().empty() ? 0 : columns_.order(static_cast<int>(event));
}

bool ColumnsReader::Next(size_t max_rows) {
  rows_.clear();
  runs_.clear();
  const size_t end = std::min(total_, next_ + max_rows);
  if (next_ == end) return false;
  if (columns_.order().empty()) {
    shapes_[0].count = static_cast<int>(end - next_);
  } else {
    for (size_t event = next_; event < end; ++event) ++shapes_[ShapeOf(event)].count;
  }
  for (ShapeState& shape : shapes_) Fill(shape);
  for (; next_ < end; ++next_) Place(shapes_[ShapeOf(next_)]);
  for (ShapeState& shape : shapes_) {
    shape.done += shape.count;
    shape.count = shape.placed = 0;
    shape.bad.clear();
  }
  return true;
}

void ColumnsReader::Place(ShapeState& shape) {
  const int event = shape.placed++;
  if (!shape.refused.ok()) return Refuse(shape.refused);
  if (!shape.bad.empty() && shape.bad[event]) return;
  Row row{.timestamp_ns = shape.shape->timestamps_ns(shape.done + event)};
  if (shape.type != nullptr) row.slots = shape.slots + event * shape.type->slot_count;
  rows_.push_back(row);
  if (runs_.empty() || runs_.back().type != shape.type) runs_.push_back({shape.type, 0});
  ++runs_.back().count;
}

void ColumnsReader::Refuse(const absl::Status& why) {
  if (refused_++ == 0) why_refused_ = why;
}

// ---------------------------------------------------------------- values

void ColumnsReader::Fill(ShapeState& shape) {
  if (shape.count == 0 || shape.type == nullptr || !shape.refused.ok()) return;
  const size_t stride = shape.type->slot_count;
  const size_t size = stride * shape.count;
  shape.slots = arena_.Allocate<Value>(size);
  std::uninitialized_fill_n(shape.slots, size, Value());
  if (shape.type->all_fields_slot >= 0) return FillWhole(shape);
  for (Field& field : shape.fields) FillField(shape, field, shape.slots + field.slot, stride);
}

// For types that want a map of all fields: row by row, as for rows.
void ColumnsReader::FillWhole(ShapeState& shape) {
  const size_t width = shape.fields.size();
  auto* const cells = arena_.Allocate<Value>(width * shape.count);
  std::uninitialized_fill_n(cells, width * shape.count, Value());
  for (size_t i = 0; i < width; ++i) FillField(shape, shape.fields[i], cells + i, width);
  for (int event = 0; event < shape.count; ++event) {
    Value* const slots = shape.slots + event * shape.type->slot_count;
    AllFields all(*shape.type, arena_, width);
    for (size_t i = 0; i < width; ++i) {
      const Value& value = cells[event * width + i];
      if (value.missing()) continue;
      const Field& field = shape.fields[i];
      if (field.slot >= 0) slots[field.slot] = value;
      all.Add(field.column->name(), value);
    }
    all.Finish(slots);
  }
}

void ColumnsReader::FillField(ShapeState& shape, Field& field, Value* to, size_t stride) {
  const Column& column = *field.column;
  if (!column.kinds().empty()) return FillMixed(shape, field, to, stride);
  const int first = shape.done, count = shape.count;
  const auto fill = [&](const auto& array, auto make) {
    for (int i = 0; i < count; ++i) to[i * stride] = make(array.Get(first + i));
  };
  switch (field.only) {
    case ColumnArray::kInt:
      return fill(column.ints(), Value::Int);
    case ColumnArray::kFloat:
      return fill(column.floats(), Value::Float);
    case ColumnArray::kString:
      return fill(column.strings(), [this](uint32_t index) { return strings_[index]; });
    default:
      for (int i = 0; i < count; ++i) to[i * stride] = TakeValue(shape, field, first + i, i);
  }
}

void ColumnsReader::FillMixed(ShapeState& shape, Field& field, Value* to, size_t stride) {
  const std::string& kinds = field.column->kinds();
  for (int i = 0; i < shape.count; ++i) {
    const auto array = static_cast<ColumnArray>(kinds[shape.done + i]);
    if (array == ColumnArray::kMissing) continue;
    field.only = array;
    to[i * stride] = TakeValue(shape, field, field.next[static_cast<size_t>(array)]++, i);
  }
}

// From the array `field.only`.
Value ColumnsReader::TakeValue(ShapeState& shape, const Field& field, int index, int event) {
  const Column& column = *field.column;
  if (field.only == ColumnArray::kString) return strings_[column.strings(index)];
  if (field.only != ColumnArray::kValue) return PlainValue(column, field.only, index);
  Value value;
  const absl::Status read = ValueFromProto(column.values(index), arena_, &value);
  if (!read.ok() && (shape.bad.empty() || !shape.bad[event])) {
    shape.bad.resize(shape.count);
    shape.bad[event] = true;
    Refuse(WithContext(read, absl::StrCat("field `", column.name(), "`")));
  }
  return value;
}

// ---------------------------------------------------------------- rows

void ColumnsToRows(const Columns& columns,
                   google::protobuf::RepeatedPtrField<varpulis::v1::Event>* events) {
  std::vector<std::string_view> strings;
  ForEachString(columns, [&strings](std::string_view text) { strings.push_back(text); });
  struct Cursor {
    int event = 0;
    std::vector<int> next;  // by column and array
  };
  constexpr size_t kArrays = static_cast<size_t>(ColumnArray::kValue) + 1;
  std::vector<Cursor> cursors(columns.shapes_size());
  const uint64_t total = CountEvents(columns);
  for (uint64_t i = 0; i < total; ++i) {
    const uint32_t index = columns.order().empty() ? 0 : columns.order(static_cast<int>(i));
    const Shape& shape = columns.shapes(static_cast<int>(index));
    Cursor& cursor = cursors[index];
    cursor.next.resize(shape.columns_size() * kArrays);
    const int at = cursor.event++;
    varpulis::v1::Event& event = *events->Add();
    event.set_event_type(shape.event_type());
    if (!shape.timestamps_ns().empty()) event.set_timestamp_ns(shape.timestamps_ns(at));
    for (int c = 0; c < shape.columns_size(); ++c) {
      const Column& column = shape.columns(c);
      const ColumnArray array =
          column.kinds().empty() ? OnlyArray(column) : static_cast<ColumnArray>(column.kinds()[at]);
      if (array == ColumnArray::kMissing) continue;
      const int value = cursor.next[c * kArrays + static_cast<size_t>(array)]++;
      varpulis::v1::Field& field = *event.add_fields();
      field.set_name(column.name());
      if (array == ColumnArray::kString) {
        const std::string_view text = strings[column.strings(value)];
        field.mutable_value()->set_string_value(text.data(), text.size());
      } else if (array == ColumnArray::kValue) {
        *field.mutable_value() = column.values(value);
      } else {
        ValueToProto(PlainValue(column, array, value), field.mutable_value());
      }
    }
  }
}

}  // namespace varpulis::engine
