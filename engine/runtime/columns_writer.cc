#include "engine/runtime/columns_writer.h"

#include "engine/runtime/batch_codec.h"

namespace varpulis::engine {
namespace {

constexpr size_t kBatchBytes = 64;   // tags and lengths of a batch,
constexpr size_t kShapeBytes = 32;   // of a shape,
constexpr size_t kColumnBytes = 80;  // of a column

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

size_t ZigZagBytes(int64_t value) {
  return VarintBytes((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
}

ColumnArray ArrayOf(const Value& value) {
  static_assert(static_cast<int>(ValueKind::kDuration) == static_cast<int>(ColumnArray::kDuration));
  return value.kind() >= ValueKind::kList ? ColumnArray::kValue
                                          : static_cast<ColumnArray>(value.kind());
}

Value ScalarOf(const varpulis::v1::Value& value) {
  using varpulis::v1::Value;
  switch (value.kind_case()) {
    case Value::kBoolValue:
      return engine::Value::Bool(value.bool_value());
    case Value::kIntValue:
      return engine::Value::Int(value.int_value());
    case Value::kFloatValue:
      return engine::Value::Float(value.float_value());
    case Value::kStringValue:
      return engine::Value::String(value.string_value());
    case Value::kTimestampNs:
      return engine::Value::Timestamp(value.timestamp_ns());
    case Value::kDurationNs:
      return engine::Value::Duration(value.duration_ns());
    default:
      return engine::Value::Null();
  }
}

}  // namespace

ColumnsWriter::ColumnsWriter() : strings_(0, TextOf{this}, TextOf{this}) { Clear(); }

void ColumnsWriter::Clear() {
  columns_.Clear();
  events_ = text_bytes_ = 0;
  bytes_ = kBatchBytes;
  shapes_.clear();
  shape_of_.clear();
  last_shape_ = 0;
  ends_.assign(1, 0);
  strings_.clear();
}

// ---------------------------------------------------------------- shapes

template <typename NameAt>
ColumnsWriter::ShapeState& ColumnsWriter::FindShape(std::string_view event_type, bool has_time,
                                                    size_t fields, NameAt name_at) {
  const auto is_last = [&] {
    if (shapes_.empty()) return false;
    const varpulis::v1::Shape& last = *shapes_[last_shape_].shape;
    if (last.event_type() != event_type || last.timestamps_ns().empty() == has_time ||
        static_cast<size_t>(last.columns_size()) != fields) {
      return false;
    }
    for (size_t i = 0; i < fields; ++i) {
      if (last.columns(static_cast<int>(i)).name() != name_at(i)) return false;
    }
    return true;
  };
  if (is_last()) return shapes_[last_shape_];
  shape_key_.clear();
  const auto append = [this](std::string_view text) {
    const auto size = static_cast<uint32_t>(text.size());
    shape_key_.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(text);
  };
  shape_key_.push_back(has_time ? 1 : 0);
  append(event_type);
  for (size_t i = 0; i < fields; ++i) append(name_at(i));
  const auto [found, added] = shape_of_.emplace(shape_key_, shapes_.size());
  last_shape_ = found->second;
  if (!added) return shapes_[last_shape_];
  ShapeState state{.shape = columns_.add_shapes(), .fields = {}};
  state.shape->set_event_type(event_type.data(), event_type.size());
  bytes_ += kShapeBytes + event_type.size();
  for (size_t i = 0; i < fields; ++i) {
    varpulis::v1::Column* const column = state.shape->add_columns();
    const std::string_view name = name_at(i);
    column->set_name(name.data(), name.size());
    bytes_ += kColumnBytes + name.size();
    state.fields.push_back({.column = column});
  }
  shapes_.push_back(std::move(state));
  return shapes_.back();
}

template <typename NameAt>
ColumnsWriter::ShapeState& ColumnsWriter::Begin(std::string_view event_type, bool has_time,
                                                size_t fields, NameAt name_at) {
  ShapeState& state = FindShape(event_type, has_time, fields, name_at);
  state.shape->set_count(state.shape->count() + 1);
  columns_.add_order(last_shape_);
  ++events_;
  bytes_ += VarintBytes(last_shape_) + fields;  // a byte for each kind
  return state;
}

void ColumnsWriter::SetTime(ShapeState& shape, int64_t timestamp_ns) {
  shape.shape->add_timestamps_ns(timestamp_ns);
  bytes_ += sizeof(timestamp_ns);
}

void ColumnsWriter::Add(const OutputEvent& event) {
  ShapeState& shape = Begin(event.event_type, true, event.names.size(),
                            [&](size_t i) { return std::string_view(event.names[i]); });
  SetTime(shape, event.timestamp_ns);
  for (size_t i = 0; i < shape.fields.size(); ++i) {
    const Value& value = event.values[i];
    if (ArrayOf(value) == ColumnArray::kValue) {
      varpulis::v1::Value* const nested = AddNested(shape, shape.fields[i]);
      ValueToProto(value, nested);
      bytes_ += nested->ByteSizeLong();
    } else {
      AddScalar(shape, shape.fields[i], value);
    }
  }
}

void ColumnsWriter::Add(const varpulis::v1::Event& event) {
  ShapeState& shape =
      Begin(event.event_type(), event.has_timestamp_ns(), static_cast<size_t>(event.fields_size()),
            [&](size_t i) { return std::string_view(event.fields(static_cast<int>(i)).name()); });
  if (event.has_timestamp_ns()) SetTime(shape, event.timestamp_ns());
  for (size_t i = 0; i < shape.fields.size(); ++i) {
    const varpulis::v1::Value& value = event.fields(static_cast<int>(i)).value();
    if (value.has_list_value() || value.has_map_value()) {
      *AddNested(shape, shape.fields[i]) = value;
      bytes_ += value.ByteSizeLong();
    } else {
      AddScalar(shape, shape.fields[i], ScalarOf(value));
    }
  }
}

// ---------------------------------------------------------------- values

void ColumnsWriter::SetKind(const ShapeState& shape, Field& field, ColumnArray kind) {
  const size_t before = shape.shape->count() - 1;
  if (!field.mixed) {
    if (before == 0) field.only = kind;
    if (field.only == kind && kind > ColumnArray::kNull) return;
    field.mixed = true;
    field.column->mutable_kinds()->assign(before, static_cast<char>(field.only));
  }
  field.column->mutable_kinds()->push_back(static_cast<char>(kind));
}

varpulis::v1::Value* ColumnsWriter::AddNested(const ShapeState& shape, Field& field) {
  constexpr size_t kTagAndLength = 6;
  bytes_ += kTagAndLength;
  SetKind(shape, field, ColumnArray::kValue);
  return field.column->add_values();
}

void ColumnsWriter::AddScalar(const ShapeState& shape, Field& field, const Value& value) {
  SetKind(shape, field, ArrayOf(value));
  varpulis::v1::Column& column = *field.column;
  switch (value.kind()) {
    case ValueKind::kBool:
      column.add_bools(value.boolean());
      bytes_ += 1;
      break;
    case ValueKind::kInt:
      column.add_ints(value.integer());
      bytes_ += ZigZagBytes(value.integer());
      break;
    case ValueKind::kFloat:
      column.add_floats(value.real());
      bytes_ += sizeof(double);
      break;
    case ValueKind::kString: {
      const uint32_t index = IndexOf(value.string());
      text_bytes_ += value.size();
      column.add_strings(index);
      bytes_ += VarintBytes(index);
      break;
    }
    case ValueKind::kTimestamp:
      column.add_timestamps_ns(value.integer());
      bytes_ += sizeof(int64_t);
      break;
    case ValueKind::kDuration:
      column.add_durations_ns(value.integer());
      bytes_ += ZigZagBytes(value.integer());
      break;
    case ValueKind::kMissing:
    case ValueKind::kNull:
    case ValueKind::kList:
    case ValueKind::kMap:
      break;
  }
}

uint32_t ColumnsWriter::IndexOf(std::string_view text) {
  if (const auto known = strings_.find(text); known != strings_.end()) return *known;
  const auto index = static_cast<uint32_t>(ends_.size() - 1);
  columns_.mutable_text()->append(text);
  ends_.push_back(columns_.text().size());
  columns_.add_text_sizes(static_cast<uint32_t>(text.size()));
  strings_.insert(index);
  bytes_ += text.size() + VarintBytes(text.size());
  return index;
}

varpulis::v1::Columns& ColumnsWriter::Finish() {
  if (shapes_.size() == 1) columns_.clear_order();
  return columns_;
}

}  // namespace varpulis::engine
