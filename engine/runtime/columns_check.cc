#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/runtime/columns.h"

namespace varpulis::engine {
namespace {

constexpr size_t kArrays = static_cast<size_t>(ColumnArray::kValue) + 1;

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

void CountValues(const varpulis::v1::Column& column, size_t (&counts)[kArrays]) {
  auto count = [&counts](ColumnArray array) -> size_t& {
    return counts[static_cast<size_t>(array)];
  };
  count(ColumnArray::kBool) = column.bools_size();
  count(ColumnArray::kInt) = column.ints_size();
  count(ColumnArray::kFloat) = column.floats_size();
  count(ColumnArray::kString) = column.strings_size();
  count(ColumnArray::kTimestamp) = column.timestamps_ns_size();
  count(ColumnArray::kDuration) = column.durations_ns_size();
  count(ColumnArray::kValue) = column.values_size();
}

absl::Status CheckText(const varpulis::v1::Columns& columns) {
  const std::string& text = columns.text();
  uint64_t end = 0;
  for (const uint32_t size : columns.text_sizes()) {
    // The whole is UTF-8, which the parser has seen to; so is a part that begins with a character.
    constexpr unsigned kContinues = 0x80, kContinuationBits = 0xC0;
    if (end < text.size() &&
        (static_cast<unsigned char>(text[end]) & kContinuationBits) == kContinues) {
      return Bad("a string begins inside a character of the text");
    }
    end += size;
  }
  if (end != text.size()) {
    return Bad("the strings have ", end, " bytes together, the text ", text.size());
  }
  return absl::OkStatus();
}

absl::Status CheckColumn(const varpulis::v1::Columns& columns, const varpulis::v1::Column& column,
                         size_t events, uint64_t* text) {
  size_t have[kArrays] = {}, want[kArrays] = {};
  CountValues(column, have);
  if (column.kinds().empty()) {
    want[static_cast<size_t>(OnlyArray(column))] = events;
  } else {
    if (column.kinds().size() != events) {
      return Bad("has ", column.kinds().size(), " kinds for ", events, " events");
    }
    size_t seen[256] = {};
    for (const char kind : column.kinds()) ++seen[static_cast<unsigned char>(kind)];
    const auto unknown = std::find_if(seen + kArrays, std::end(seen), [](size_t n) { return n; });
    if (unknown != std::end(seen)) return Bad("has the unknown kind ", unknown - seen);
    std::copy_n(seen, kArrays, want);
    want[0] = want[1] = 0;  // missing and null take nothing
  }
  for (size_t i = 0; i < kArrays; ++i) {
    if (have[i] == want[i]) continue;
    return Bad("has ", have[i], " values of kind ", i, " for ", want[i], " events");
  }
  const auto strings = static_cast<uint32_t>(columns.text_sizes_size());
  for (const uint32_t index : column.strings()) {
    if (index >= strings) return Bad("string ", index, " of ", strings);
    *text += columns.text_sizes(static_cast<int>(index));
  }
  return absl::OkStatus();
}

absl::Status CheckShape(const varpulis::v1::Columns& columns, const varpulis::v1::Shape& shape,
                        uint64_t* text) {
  if (shape.event_type().empty()) return Bad("event without event_type");
  const size_t times = shape.timestamps_ns_size();
  if (times != 0 && times != shape.count()) {
    return Bad("has ", times, " timestamps for ", shape.count(), " events");
  }
  for (const varpulis::v1::Column& column : shape.columns()) {
    RETURN_IF_ERROR(CheckColumn(columns, column, shape.count(), text),
                    Annotate("column `", column.name(), "`"));
  }
  return absl::OkStatus();
}

absl::Status CheckOrder(const varpulis::v1::Columns& columns, uint64_t events) {
  if (columns.order().empty()) {
    if (columns.shapes_size() <= 1) return absl::OkStatus();
    return Bad("several shapes without an order");
  }
  if (static_cast<uint64_t>(columns.order_size()) != events) {
    return Bad("the order has ", columns.order_size(), " of ", events, " events");
  }
  std::vector<uint64_t> seen(columns.shapes_size());
  for (const uint32_t shape : columns.order()) {
    if (shape >= seen.size()) return Bad("the order names shape ", shape, " of ", seen.size());
    ++seen[shape];
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    const uint32_t count = columns.shapes(static_cast<int>(i)).count();
    if (seen[i] == count) continue;
    return Bad("the order names shape ", i, " ", seen[i], " times, which has ", count, " events");
  }
  return absl::OkStatus();
}

}  // namespace

ColumnArray OnlyArray(const varpulis::v1::Column& column) {
  if (!column.ints().empty()) return ColumnArray::kInt;
  if (!column.floats().empty()) return ColumnArray::kFloat;
  if (!column.strings().empty()) return ColumnArray::kString;
  if (!column.bools().empty()) return ColumnArray::kBool;
  if (!column.timestamps_ns().empty()) return ColumnArray::kTimestamp;
  if (!column.durations_ns().empty()) return ColumnArray::kDuration;
  if (!column.values().empty()) return ColumnArray::kValue;
  return ColumnArray::kMissing;
}

uint64_t CountEvents(const varpulis::v1::Columns& columns) {
  uint64_t events = 0;
  for (const varpulis::v1::Shape& shape : columns.shapes()) events += shape.count();
  return events;
}

absl::Status CheckColumns(const varpulis::v1::Columns& columns) {
  const uint64_t events = CountEvents(columns);
  if (events > kMaxColumnEvents) return Bad("batch has more than ", kMaxColumnEvents, " events");
  RETURN_IF_ERROR(CheckText(columns));
  uint64_t text = 0;
  for (int i = 0; i < columns.shapes_size(); ++i) {
    RETURN_IF_ERROR(CheckShape(columns, columns.shapes(i), &text), Annotate("shape ", i));
  }
  if (text > kMaxColumnText) {
    return Bad("the events have more than ", kMaxColumnText, " bytes of text");
  }
  return CheckOrder(columns, events);
}

}  // namespace varpulis::engine
