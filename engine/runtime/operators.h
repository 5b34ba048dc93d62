#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/runtime/operator.h"

namespace varpulis::engine {

// `.where`, `.filter`, `.having`: keeps rows whose condition is exactly true.
class Filter final : public Operator {
 public:
  explicit Filter(ExpressionPtr condition) : condition_(std::move(condition)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  ExpressionPtr condition_;
};

// `.select`: rows of a new shape.
class Select final : public Operator {
 public:
  explicit Select(std::vector<ExpressionPtr> fields) : fields_(std::move(fields)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  std::vector<ExpressionPtr> fields_;
};

// `.emit`: rows of a new shape, to the output and on.
class Emit final : public Operator {
 public:
  Emit(std::string stream, std::string event_type, std::vector<std::string> names,
       std::vector<ExpressionPtr> fields)
      : stream_(std::move(stream)),
        event_type_(std::move(event_type)),
        names_(std::move(names)),
        fields_(std::move(fields)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  std::string stream_, event_type_;
  std::vector<std::string> names_;
  std::vector<ExpressionPtr> fields_;
};

// `.map` to whatever map comes: its entries become the fields that later operators read. Any other
// value becomes the field `value`.
class MapTo final : public Operator {
 public:
  // `fields` by slot; `all_slot` takes the map itself and `type_slot` the value of `type`, -1 for
  // none.
  MapTo(ExpressionPtr value, std::vector<std::string> fields, int all_slot, ExpressionPtr type,
        int type_slot)
      : value_(std::move(value)),
        type_(std::move(type)),
        fields_(std::move(fields)),
        all_slot_(all_slot),
        type_slot_(type_slot) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  ExpressionPtr value_;
  ExpressionPtr type_;
  std::vector<std::string> fields_;
  int all_slot_;
  int type_slot_;
};

// `.process(e)`: in place of each row those that `emit` statements make while `e` is computed.
class Process final : public Operator {
 public:
  explicit Process(ExpressionPtr call) : call_(std::move(call)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  ExpressionPtr call_;
};

// At the end of a chain with `.process` and without `.emit`: the rows go to the output, under the
// type in `type_slot`, or the stream's name if that is -1 or empty.
class Output final : public Operator {
 public:
  Output(std::string stream, std::vector<std::string> names, int type_slot);
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  std::string stream_;
  std::vector<std::string> names_;
  std::vector<int> slots_;
  int type_slot_;
};

// `.limit(n)`, `.first()`: the first n rows of the stream's life.
class Limit final : public Operator {
 public:
  explicit Limit(int64_t count) : count_(count < 0 ? 0 : static_cast<uint64_t>(count)) {}
  void OnBatch(Batch batch, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  uint64_t count_;
  uint64_t passed_ = 0;
};

// The end of a chain: leaves its rows to the streams that read this one.
class StreamEnd final : public Operator {
 public:
  StreamEnd(int stream, bool has_consumers) : stream_(stream), has_consumers_(has_consumers) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  int stream_;
  bool has_consumers_;
};

}  // namespace varpulis::engine
