#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "engine/runtime/columns.h"
#include "engine/runtime/event.h"
#include "proto/event.pb.h"

namespace varpulis::engine {

// Collects events in the columnar form. The same events give the same bytes. Thread-compatible.
class ColumnsWriter {
 public:
  ColumnsWriter();
  ColumnsWriter(const ColumnsWriter&) = delete;
  ColumnsWriter& operator=(const ColumnsWriter&) = delete;

  void Add(const OutputEvent& event);
  void Add(const varpulis::v1::Event& event);

  size_t events() const { return events_; }
  // No less than what the columns take on the wire, and not much more.
  size_t bytes() const { return bytes_; }
  // Of all strings, those that are shared too: a batch may have kMaxColumnText.
  size_t text_bytes() const { return text_bytes_; }
  // Completes what has been collected. Valid until Clear, which must come before the next Add.
  varpulis::v1::Columns& Finish();
  void Clear();

 private:
  struct Field {
    varpulis::v1::Column* column;
    bool mixed = false;
    ColumnArray only = ColumnArray::kMissing;
  };
  struct ShapeState {
    varpulis::v1::Shape* shape;
    std::vector<Field> fields;
  };
  struct TextOf {
    const ColumnsWriter* writer;
    using is_transparent = void;
    std::string_view View(uint32_t index) const { return writer->StringAt(index); }
    std::string_view View(std::string_view text) const { return text; }
    template <typename Text>
    size_t operator()(const Text& text) const {
      return absl::HashOf(View(text));
    }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return View(a) == View(b);
    }
  };

  // The state of the event's shape, with one event more.
  template <typename NameAt>
  ShapeState& Begin(std::string_view event_type, bool has_time, size_t fields, NameAt name_at);
  template <typename NameAt>
  ShapeState& FindShape(std::string_view event_type, bool has_time, size_t fields, NameAt name_at);
  void SetTime(ShapeState& shape, int64_t timestamp_ns);
  // Says of which kind the event's value of this field is.
  void SetKind(const ShapeState& shape, Field& field, ColumnArray kind);
  void AddScalar(const ShapeState& shape, Field& field, const Value& value);
  varpulis::v1::Value* AddNested(const ShapeState& shape, Field& field);
  uint32_t IndexOf(std::string_view text);
  std::string_view StringAt(uint32_t index) const {
    return std::string_view(columns_.text()).substr(ends_[index], ends_[index + 1] - ends_[index]);
  }

  varpulis::v1::Columns columns_;
  size_t events_ = 0;
  size_t bytes_ = 0;
  size_t text_bytes_ = 0;
  std::vector<ShapeState> shapes_;
  absl::flat_hash_map<std::string, uint32_t> shape_of_;  // by what is written in shape_key_
  std::string shape_key_;
  uint32_t last_shape_ = 0;
  std::vector<size_t> ends_;  // of the strings in the text; the first is 0
  absl::flat_hash_set<uint32_t, TextOf, TextOf> strings_;
};

}  // namespace varpulis::engine
