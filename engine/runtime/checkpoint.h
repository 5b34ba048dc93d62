#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/runtime/value.h"

namespace varpulis::checkpoint::v1 {
class OperatorState;
class PipelineCheckpoint;
class StateRecord;
}  // namespace varpulis::checkpoint::v1

namespace varpulis::engine {

class Graph;
class PartitionTable;

// Version of the format this build writes and the newest it reads.
inline constexpr uint32_t kCheckpointVersion = 1;

// What an operator writes of itself. With StateReader all that operators know of checkpoint.proto.
class StateWriter {
 public:
  explicit StateWriter(checkpoint::v1::OperatorState& state) : state_(state) {}
  void SetPassed(uint64_t passed);
  void StartDistinct();
  void AddDistinctKey(const Value& key);
  checkpoint::v1::StateRecord& StartRecord();

 private:
  checkpoint::v1::OperatorState& state_;
};

class StateReader {
 public:
  explicit StateReader(const checkpoint::v1::OperatorState& state) : state_(state) {}
  uint64_t passed() const;                            // 0 when the state is of another kind
  const checkpoint::v1::StateRecord& record() const;  // empty when the state is of another kind
  // The value is valid during the call.
  void ForEachDistinctKey(const std::function<void(const Value&)>& fn) const;

 private:
  const checkpoint::v1::OperatorState& state_;
};

// The key of a partition as the first value of its record; none when the field was absent.
void SavePartition(const PartitionTable& keys, uint32_t partition,
                   checkpoint::v1::StateRecord* record);
// Adds the partition that such a record is of. False when its key cannot be read or is there
// already.
bool AddSavedPartition(const checkpoint::v1::StateRecord& record, PartitionTable& keys,
                       uint32_t* partition);

void SaveGraph(const Graph& graph, checkpoint::v1::PipelineCheckpoint* checkpoint);
absl::Status ReadCheckpoint(std::string_view bytes, checkpoint::v1::PipelineCheckpoint* checkpoint);
absl::Status RestoreGraph(const checkpoint::v1::PipelineCheckpoint& checkpoint, Graph& graph);

}  // namespace varpulis::engine
