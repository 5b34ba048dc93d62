#include "engine/plan/parallel.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"

#include "engine/lang/check.h"
#include "engine/lang/concat.h"
#include "engine/plan/planner.h"

namespace varpulis::engine {
namespace {

// Slots of a row that carry the text of the field that the event came in with.
using Slots = std::set<int>;

bool IsKey(const PlanExpr& expr, const Slots& slots) {
  return expr.kind == PlanExprKind::kSlot && slots.count(expr.index) > 0;
}

class SpreadFinder {
 public:
  SpreadFinder(const Plan& plan, std::string_view field) : plan_(plan), field_(field) {
    for (size_t i = 0; i < plan.streams.size(); ++i) stream_index_[plan.streams[i].name] = i;
    flows_.resize(plan.streams.size());
  }

  Spread Find() {
    if (plan_.assigns_globals) Refuse("functions assign variables, which all events share");
    for (size_t i = 0; i < plan_.streams.size(); ++i) FlowOf(i);
    for (const PlanInput& input : plan_.inputs) {
      const Slots slots = EnteringAs(input.type, input.layout);
      spread_.keys.push_back({input.type, slots.empty() ? -1 : *slots.begin()});
    }
    spread_.possible = spread_.reason.empty();
    if (stateful_) spread_.field = field_;
    return std::move(spread_);
  }

 private:
  struct Flow {
    bool done = false;
    Slots slots;
    int sessions = 0;   // session windows behind one another, at most
    bool late = false;  // rows may be older than the event that brings them on
  };

  void Refuse(std::string reason) {
    if (spread_.reason.empty()) spread_.reason = std::move(reason);
  }
  void Refuse(const PlanStream& stream, std::string_view what) {
    Refuse(Concat("stream `", stream.name, "` ", what));
  }
  std::string Quoted() const {
    return field_.empty() ? std::string("a field") : Concat("`", field_, "`");
  }

  // Events of a stream's name can come from outside too, with nothing but that name and their
  // fields, so that only one of the slots can say where they go.
  Slots EnteringAs(const std::string& type, int layout) {
    const int named = field_.empty() ? -1 : plan_.layouts[static_cast<size_t>(layout)].Find(field_);
    auto producer = stream_index_.find(type);
    if (producer == stream_index_.end()) return named >= 0 ? Slots{named} : Slots{};
    const Slots& slots = FlowOf(producer->second).slots;
    if (slots.empty()) return {};
    return {named >= 0 && slots.count(named) > 0 ? named : *slots.begin()};
  }
  void Behind(const std::string& type, Flow* flow) {
    auto producer = stream_index_.find(type);
    if (producer == stream_index_.end()) return;
    const Flow& before = FlowOf(producer->second);
    flow->sessions = std::max(flow->sessions, before.sessions);
    flow->late = flow->late || before.late;
  }

  const Flow& FlowOf(size_t index) {
    Flow& flow = flows_[index];
    if (flow.done) return flow;
    flow.done = true;  // there are no cycles
    const PlanStream& stream = plan_.streams[index];
    std::vector<Slots> ports;
    Flow result;
    result.done = true;
    for (const PlanPort& port : stream.ports) {
      ports.push_back(EnteringAs(port.type, port.layout));
      Behind(port.type, &result);
    }
    switch (stream.source) {
      case SourcePlanKind::kPlain:
        result.slots = ports.empty() ? Slots{} : ports[0];
        break;
      case SourcePlanKind::kMerge:
        result.slots = Merged(stream, ports);
        break;
      case SourcePlanKind::kJoin:
        if (result.late) Refuse(stream, "joins what windows give, which may come late");
        result.slots = Joined(stream, ports);
        break;
      default:
        Refuse(stream, "runs on a timer, which all events drive");
        break;
    }
    for (const PlanOp& op : stream.ops) Through(stream, op, &result);
    return flows_[index] = std::move(result);
  }

  // A row has one part. Its slot must carry the key whichever that is.
  Slots Merged(const PlanStream& stream, const std::vector<Slots>& ports) const {
    const Layout& layout = plan_.layouts[static_cast<size_t>(stream.input_layout)];
    Slots slots;
    for (size_t slot = 0; slot < layout.origins.size(); ++slot) {
      bool carries = true;
      for (size_t port = 0; port < ports.size() && carries; ++port) {
        bool found = false;
        for (const Layout::Origin& origin : layout.origins[slot]) {
          if (origin.part != static_cast<int>(port)) continue;
          found = true;
          carries = carries && ports[port].count(origin.slot) > 0;
        }
        carries = carries && found;
      }
      if (carries) slots.insert(static_cast<int>(slot));
    }
    return slots;
  }

  Slots Joined(const PlanStream& stream, const std::vector<Slots>& ports) {
    stateful_ = true;
    spread_.max_late_ns = std::min(spread_.max_late_ns, stream.join_window);
    std::vector<Slots> parts(stream.join.size());
    for (size_t port = 0; port < ports.size(); ++port) {
      const std::vector<int>& places = stream.ports[port].places;
      for (const int place : places) parts[static_cast<size_t>(place)] = ports[port];
    }
    size_t key_parts = stream.join.empty() ? 0 : stream.join[0].key.size();
    bool possible = false;
    for (size_t i = 0; i < key_parts && !possible; ++i) {
      possible = true;
      for (size_t place = 0; place < parts.size(); ++place) {
        const std::vector<PlanExpr>& key = stream.join[place].key;
        possible = possible && i < key.size() && IsKey(key[i], parts[place]);
      }
    }
    if (!possible) {
      Refuse(stream, Concat("joins by something else than ", Quoted()));
      return {};
    }
    const Layout& layout = plan_.layouts[static_cast<size_t>(stream.input_layout)];
    Slots slots;
    for (size_t slot = 0; slot < layout.origins.size(); ++slot) {
      const std::vector<Layout::Origin>& origins = layout.origins[slot];
      const bool carries =
          !origins.empty() &&
          std::all_of(origins.begin(), origins.end(), [&](const Layout::Origin& origin) {
            return parts[static_cast<size_t>(origin.part)].count(origin.slot) > 0;
          });
      if (carries) slots.insert(static_cast<int>(slot));
    }
    return slots;
  }

  // `flow` in front of `op` becomes that behind it.
  void Through(const PlanStream& stream, const PlanOp& op, Flow* flow) {
    switch (op.kind) {
      case PlanOpKind::kFilter:
      case PlanOpKind::kOrderBy:  // of what one window holds
      case PlanOpKind::kPrint:
      case PlanOpKind::kLog:
      case PlanOpKind::kTap:
      case PlanOpKind::kOutput:
        return;
      case PlanOpKind::kSelect:
      case PlanOpKind::kEmit: {
        Slots slots;
        for (size_t i = 0; i < op.exprs.size(); ++i) {
          if (IsKey(op.exprs[i], flow->slots)) slots.insert(static_cast<int>(i));
        }
        flow->slots = std::move(slots);
        return;
      }
      case PlanOpKind::kMap:
      case PlanOpKind::kProcess:
        flow->slots.clear();
        return;
      case PlanOpKind::kWindow:
        stateful_ = flow->late = true;
        if (op.window.event_time) return Refuse(stream, "has windows fired by a watermark");
        if (op.key.empty()) return Refuse(stream, "has a window over all events");
        if (!IsKey(op.key[0], flow->slots)) {
          return Refuse(stream, Concat("has a window by something else than ", Quoted()));
        }
        // What one session leaves at the end of the input must not open another: its place among
        // those of other keys would be lost.
        if (op.window.kind == WindowKind::kSession && ++flow->sessions > 1) {
          return Refuse(stream, "has a session window behind another");
        }
        if (op.output_layout >= 0) flow->slots = Aggregated(op, flow->slots);
        return;
      case PlanOpKind::kAggregate:  // of one batch: all of it has one key
        flow->slots = Aggregated(op, flow->slots);
        return;
      case PlanOpKind::kDistinct:
        return RefuseState(stream, "remembers a bounded number of values for `.distinct`");
      case PlanOpKind::kLimit:
        return RefuseState(stream, "counts the events of all keys for `.limit`");
      case PlanOpKind::kWatermark:
        return RefuseState(stream, "has a watermark, which all events drive");
      default:
        return RefuseState(stream, "has an operator that works on events in their order");
    }
  }
  void RefuseState(const PlanStream& stream, std::string_view what) {
    stateful_ = true;
    Refuse(stream, what);
  }

  static Slots Aggregated(const PlanOp& op, const Slots& before) {
    Slots slots;
    if (!op.key.empty() && IsKey(op.key[0], before)) {
      if (op.partition_slot >= 0) slots.insert(op.partition_slot);
      if (op.key_slot >= 0) slots.insert(op.key_slot);
    }
    for (size_t i = 0; i < op.exprs.size(); ++i) {
      const PlanExpr& expr = op.exprs[i];
      if (expr.kind != PlanExprKind::kLocal) continue;
      const auto local = static_cast<size_t>(expr.index);
      if (local >= op.aggregates.size()) continue;
      const PlanAggregate& aggregate = op.aggregates[local];
      const bool picks = aggregate.function == AggregateFunction::kFirst ||
                         aggregate.function == AggregateFunction::kLast;
      if (picks && !aggregate.argument.empty() && IsKey(aggregate.argument[0], before)) {
        slots.insert(static_cast<int>(i));
      }
    }
    return slots;
  }

  const Plan& plan_;
  const std::string field_;
  absl::flat_hash_map<std::string, size_t> stream_index_;
  std::vector<Flow> flows_;  // by stream
  bool stateful_ = false;
  Spread spread_;
};

// Names of the fields that windows and joins are kept by, each once, in the order of the program.
std::vector<std::string> KeyFields(const Plan& plan) {
  std::vector<std::string> fields;
  const auto add = [&](const PlanExpr& key, int layout) {
    if (key.kind != PlanExprKind::kSlot) return;
    const std::string& field =
        plan.layouts[static_cast<size_t>(layout)].fields[static_cast<size_t>(key.index)];
    if (field.empty() || std::find(fields.begin(), fields.end(), field) != fields.end()) return;
    fields.push_back(field);
  };
  for (const PlanStream& stream : plan.streams) {
    for (const PlanPort& port : stream.ports) {
      for (const int place : port.places) {
        for (const PlanExpr& key : stream.join[static_cast<size_t>(place)].key) {
          add(key, port.layout);
        }
      }
    }
    for (const PlanOp& op : stream.ops) {
      if (op.kind != PlanOpKind::kWindow) continue;
      for (const PlanExpr& key : op.key) add(key, op.input_layout);
    }
  }
  return fields;
}

}  // namespace

Spread FindSpread(const Plan& plan, std::string_view field) {
  if (!field.empty()) return SpreadFinder(plan, field).Find();
  std::optional<Spread> first;
  for (const std::string& candidate : KeyFields(plan)) {
    Spread spread = SpreadFinder(plan, candidate).Find();
    if (spread.possible) return spread;
    if (!first.has_value()) first = std::move(spread);
  }
  if (first.has_value()) return *std::move(first);
  return SpreadFinder(plan, "").Find();
}

Spread FindSpread(std::string_view source, std::string_view field) {
  return FindSpread(MakePlan(ParseAndCheck(source).program), field);
}

}  // namespace varpulis::engine
