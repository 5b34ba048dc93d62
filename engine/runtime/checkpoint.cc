#include "engine/runtime/checkpoint.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "engine/runtime/batch_codec.h"
#include "engine/runtime/graph.h"
#include "proto/checkpoint.pb.h"

namespace varpulis::engine {

void StateWriter::SetPassed(uint64_t passed) { state_.mutable_limit()->set_passed(passed); }
void StateWriter::StartDistinct() { state_.mutable_distinct(); }
void StateWriter::AddDistinctKey(const Value& key) {
  ValueToProto(key, state_.mutable_distinct()->add_keys());
}

uint64_t StateReader::passed() const { return state_.limit().passed(); }

void StateReader::ForEachDistinctKey(const std::function<void(const Value&)>& fn) const {
  Arena arena;
  for (const varpulis::v1::Value& key : state_.distinct().keys()) {
    Value value;
    // Keys passed the limits when they came in; one made by an expression may be larger.
    if (ValueFromProto(key, arena, &value, /*check_limits=*/false).ok()) fn(value);
    arena.Reset();
  }
}

checkpoint::v1::PipelineCheckpoint SaveGraph(const Graph& graph) {
  checkpoint::v1::PipelineCheckpoint checkpoint;
  checkpoint.set_version(kCheckpointVersion);
  checkpoint.set_program_fingerprint(graph.fingerprint());
  checkpoint.set_events_in(graph.events_in());
  checkpoint.set_events_out(graph.events_out());
  if (graph.events_in() > 0) checkpoint.set_pipeline_time_ns(graph.pipeline_time_ns());
  for (const Graph::Global& global : graph.globals()) {
    if (!global.is_mutable) continue;
    checkpoint::v1::VariableState& variable = *checkpoint.add_variables();
    variable.set_name(global.name);
    ValueToProto(global.value.get(), variable.mutable_value());
  }
  for (const Graph::Stream& stream : graph.streams()) {
    for (size_t position = 0; position < stream.operators.size(); ++position) {
      checkpoint::v1::OperatorState state;
      StateWriter writer(state);
      stream.operators[position]->Save(writer);
      if (state.state_case() == checkpoint::v1::OperatorState::STATE_NOT_SET) continue;
      state.set_stream(stream.name);
      state.set_position(static_cast<uint32_t>(position));
      state.set_fingerprint(stream.fingerprints[position]);
      *checkpoint.add_operators() = std::move(state);
    }
  }
  return checkpoint;
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
  for (const Graph::Stream& stream : graph.streams()) {
    for (size_t position = 0; position < stream.operators.size(); ++position) {
      auto found = states.find({stream.name, static_cast<uint32_t>(position)});
      // An operator whose definition has changed starts afresh.
      if (found == states.end() || found->second->fingerprint() != stream.fingerprints[position]) {
        continue;
      }
      stream.operators[position]->Restore(StateReader(*found->second));
    }
  }
  Arena arena;
  for (const checkpoint::v1::VariableState& variable : checkpoint.variables()) {
    Value value;
    if (ValueFromProto(variable.value(), arena, &value, /*check_limits=*/false).ok()) {
      graph.SetGlobal(variable.name(), value);
    }
    arena.Reset();
  }
  graph.SetCounters(checkpoint.events_in(), checkpoint.events_out(), checkpoint.pipeline_time_ns());
  return absl::OkStatus();
}

}  // namespace varpulis::engine
