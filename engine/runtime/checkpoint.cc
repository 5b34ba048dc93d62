#include "engine/runtime/checkpoint.h"

#include <climits>
#include <map>
#include <utility>

#include <google/protobuf/io/coded_stream.h>

#include "absl/strings/str_cat.h"

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/graph.h"
#include "engine/runtime/partition.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {

namespace {

// Where an operator's state belongs.
struct Place {
  std::string stream;
  uint32_t position;
  std::string fingerprint;
};

// The ways into a merge or join have one place together: the first of them has the state.
constexpr uint32_t kSourcePosition = UINT32_MAX;

template <typename Fn>
void ForEachOperator(const Graph& graph, Fn&& fn) {
  for (const Graph::Stream& stream : graph.streams()) {
    if (!stream.ports.empty()) {
      fn(Place{stream.name, kSourcePosition, stream.ports_fingerprint}, *stream.ports[0]);
    }
    for (size_t position = 0; position < stream.operators.size(); ++position) {
      fn(Place{stream.name, static_cast<uint32_t>(position), stream.fingerprints[position]},
         *stream.operators[position]);
    }
  }
}

}  // namespace

void StateWriter::SetPassed(uint64_t passed) { state_.mutable_limit()->set_passed(passed); }
void StateWriter::StartDistinct() { state_.mutable_distinct(); }
void StateWriter::AddDistinctKey(const Value& key) {
  checkpoint::v1::DistinctState& distinct = *state_.mutable_distinct();
  ValueToProto(key, distinct.add_keys());
  if (key.missing()) distinct.set_missing_key(static_cast<uint32_t>(distinct.keys_size()));
}

checkpoint::v1::StateRecord& StateWriter::StartRecord() { return *state_.mutable_record(); }

const checkpoint::v1::StateRecord& StateReader::record() const { return state_.record(); }
uint64_t StateReader::passed() const { return state_.limit().passed(); }

void StateReader::ForEachDistinctKey(const std::function<void(const Value&)>& fn) const {
  Arena arena;
  const checkpoint::v1::DistinctState& distinct = state_.distinct();
  for (int i = 0; i < distinct.keys_size(); ++i) {
    Value value;
    // Keys passed the limits when they came in; one made by an expression may be larger.
    if (!ValueFromProto(distinct.keys(i), arena, &value, /*check_limits=*/false).ok()) continue;
    fn(static_cast<uint32_t>(i) + 1 == distinct.missing_key() ? Value() : value);
    arena.Reset();
  }
}

void SavePartition(const PartitionTable& keys, uint32_t partition,
                   checkpoint::v1::StateRecord* record) {
  const Value key = keys.key(partition);
  if (!key.missing()) ValueToProto(key, record->add_values());
}

bool AddSavedPartition(const checkpoint::v1::StateRecord& record, PartitionTable& keys,
                       uint32_t* partition) {
  Arena arena;
  Value key;
  if (record.values_size() > 0 &&
      !ValueFromProto(record.values(0), arena, &key, /*check_limits=*/false).ok()) {
    return false;
  }
  bool added = false;
  *partition = keys.Find(key, &added);
  return added;
}

void SaveGraph(const Graph& graph, checkpoint::v1::PipelineCheckpoint* checkpoint) {
  checkpoint->set_version(kCheckpointVersion);
  checkpoint->set_program_fingerprint(graph.fingerprint());
  checkpoint->set_events_in(graph.events_in());
  checkpoint->set_events_out(graph.events_out());
  if (graph.events_in() > 0) checkpoint->set_pipeline_time_ns(graph.pipeline_time_ns());
  for (const Globals::Global& global : graph.globals().all()) {
    if (!global.is_mutable) continue;
    checkpoint::v1::VariableState& variable = *checkpoint->add_variables();
    variable.set_name(global.name);
    // Without a value: ⊥, which a function may assign.
    if (!global.value.get().missing()) ValueToProto(global.value.get(), variable.mutable_value());
  }
  for (const Graph::Timer& timer : graph.timers()) {
    checkpoint::v1::TimerState& state = *checkpoint->add_timers();
    state.set_stream(timer.stream);
    state.set_due_ns(timer.due_ns);
  }
  ForEachOperator(graph, [&](const Place& place, Operator& op) {
    checkpoint::v1::OperatorState& state = *checkpoint->add_operators();
    StateWriter writer(state);
    op.Save(writer);
    if (state.state_case() == checkpoint::v1::OperatorState::STATE_NOT_SET) {
      checkpoint->mutable_operators()->RemoveLast();
      return;
    }
    state.set_stream(place.stream);
    state.set_position(place.position);
    state.set_fingerprint(place.fingerprint);
  });
}

absl::Status ReadCheckpoint(std::string_view bytes,
                            checkpoint::v1::PipelineCheckpoint* checkpoint) {
  // A map takes three levels of messages; around a value are the parts of its operator's state.
  constexpr int kMaxNesting = 200;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxNesting);
  if (bytes.size() > INT_MAX || !checkpoint->ParseFromCodedStream(&in) ||
      !in.ConsumedEntireMessage()) {
    return absl::DataLossError("not a pipeline's checkpoint");
  }
  return absl::OkStatus();
}

absl::Status RestoreGraph(const checkpoint::v1::PipelineCheckpoint& checkpoint, Graph& graph) {
  if (checkpoint.version() > kCheckpointVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint has version ", checkpoint.version(), ", this build reads up to ",
                     kCheckpointVersion));
  }
  if (checkpoint.version() == 0) return absl::DataLossError("checkpoint has no version");
  std::map<std::pair<std::string, uint32_t>, const checkpoint::v1::OperatorState*> states;
  for (const checkpoint::v1::OperatorState& state : checkpoint.operators()) {
    states[{state.stream(), state.position()}] = &state;
  }
  ForEachOperator(graph, [&](const Place& place, Operator& op) {
    auto found = states.find({place.stream, place.position});
    // An operator whose definition has changed starts afresh.
    if (found == states.end() || found->second->fingerprint() != place.fingerprint) return;
    op.Restore(StateReader(*found->second));
  });
  for (const checkpoint::v1::TimerState& timer : checkpoint.timers()) {
    graph.SetTimer(timer.stream(), timer.due_ns());
  }
  Arena arena;
  for (const checkpoint::v1::VariableState& variable : checkpoint.variables()) {
    Value value;
    if (!variable.has_value() ||
        ValueFromProto(variable.value(), arena, &value, /*check_limits=*/false).ok()) {
      graph.SetGlobal(variable.name(), value);
    }
    arena.Reset();
  }
  graph.SetCounters(checkpoint.events_in(), checkpoint.events_out(), checkpoint.pipeline_time_ns());
  return absl::OkStatus();
}

}  // namespace varpulis::engine
