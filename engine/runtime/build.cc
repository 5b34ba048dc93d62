#include "engine/runtime/build.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/fingerprint.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/batch_operators.h"
#include "engine/runtime/distinct.h"
#include "engine/runtime/event_time.h"
#include "engine/runtime/join.h"
#include "engine/runtime/operations.h"
#include "engine/runtime/operators.h"
#include "engine/runtime/sources.h"
#include "engine/runtime/text_operators.h"
#include "engine/runtime/window.h"
#include "engine/runtime/window_aggregate.h"
#include "engine/runtime/window_rows.h"

namespace varpulis::engine {

class GraphBuilder {
 public:
  GraphBuilder(const Plan& plan, const LookupProviderFactory& providers, const RunLimits& limits,
               std::vector<LoadError>* errors)
      : plan_(plan), providers_(providers), errors_(errors), graph_(new Graph()) {
    graph_->limits_ = limits;
  }

  std::unique_ptr<Graph> Run(std::string_view source) {
    graph_->fingerprint_ = Fingerprint(source);
    graph_->debug_string_ = plan_.DebugString();
    may_stop_ = MayStop(plan_);
    functions_make_much_ =
        std::any_of(plan_.functions.begin(), plan_.functions.end(),
                    [&](const PlanFunction& function) { return BlockMakesMuch(function.body); });
    graph_->locals_.resize(static_cast<size_t>(plan_.local_count));
    for (const PlanFunction& function : plan_.functions) {
      graph_->functions_.Add(
          std::make_unique<Function>(function, plan_.layouts, graph_->literals_));
    }
    RunInitialisers();
    if (!errors_->empty()) return nullptr;
    paths_.resize(plan_.streams.size());
    for (const PlanStream& stream : plan_.streams) {
      if (stream.source == SourcePlanKind::kTimer) timers_.emplace(stream.ports[0].type, &stream);
    }
    for (const PlanInput& input : plan_.inputs) AddInput(input);
    for (size_t i = 0; i < plan_.streams.size(); ++i) AddStream(static_cast<int>(i));
    if (!errors_->empty()) return nullptr;
    EvalContext& eval = graph_->run_.eval;
    SetUp(eval);
    eval.arena = &graph_->arena_;
    return std::move(graph_);
  }

 private:
  void SetUp(EvalContext& eval) {
    eval.globals = graph_->globals_.values();
    eval.locals = graph_->locals_.data();
    eval.functions = &graph_->functions_;
    eval.global_store = &graph_->globals_;
    eval.error = &graph_->error_;
    eval.limits = &graph_->limits_;
  }

  void RunInitialisers() {
    for (const PlanGlobal& global : plan_.globals) {
      graph_->globals_.Add(global.name, global.is_mutable);
    }
    Arena scratch;
    EvalContext eval;
    SetUp(eval);
    eval.has_event = false;
    eval.arena = &scratch;
    eval.bytes_limit = graph_->limits_.event_bytes;
    RunLimits limits = graph_->limits_;
    limits.call_steps = limits.load_steps;
    eval.limits = &limits;
    graph_->functions_.BeginLoad();
    for (const PlanAssignment& assignment : plan_.assignments) {
      // The value may point into the expression, until it is copied at the end.
      const ExpressionPtr initialiser = CompileExpression(assignment.value, scratch);
      const Value value = EvaluateIn(*initialiser, eval);
      const auto index = static_cast<size_t>(assignment.global);
      const size_t bytes = limits.variables_bytes;
      if (!graph_->globals_.Set(index, value, bytes)) {
        errors_->push_back(
            {assignment.span, "E106",
             Concat("the value of `", plan_.globals[index].name, "` ", Globals::TooLarge(bytes))});
        break;
      }
      if (value.missing() || !graph_->error_.empty()) {
        errors_->push_back(
            {assignment.span, "E106",
             graph_->error_.empty()
                 ? Concat("the value of `", plan_.globals[index].name, "` cannot be computed")
                 : graph_->error_});
        graph_->error_.clear();
      }
      graph_->globals_.EndEvent();
      scratch.Reset();
    }
    graph_->functions_.EndLoad();
  }

  const Layout& LayoutAt(int index) const { return plan_.layouts[static_cast<size_t>(index)]; }

  // What several events in one batch would change: rows are told apart by more than their path.
  static bool OneByOne(const PlanOp& op, bool behind_window) {
    switch (op.kind) {
      case PlanOpKind::kAggregate:
      case PlanOpKind::kOrderBy:
        return !behind_window;
      case PlanOpKind::kWindow:
        return op.window.kind == WindowKind::kSession || op.window.event_time;
      case PlanOpKind::kProcess:
      case PlanOpKind::kWatermark:
        return true;
      default:
        return false;
    }
  }
  static bool IsObservable(const PlanOp& op) {
    switch (op.kind) {
      case PlanOpKind::kEmit:
      case PlanOpKind::kOutput:
      case PlanOpKind::kPrint:
      case PlanOpKind::kLog:
      case PlanOpKind::kTap:
        return true;
      default:
        return false;
    }
  }

  // Whether a function can run into a limit, which is reported event by event: it has loops, or
  // calls itself, directly or through others.
  static bool MayStop(const Plan& plan) {
    std::vector<std::vector<int>> calls(plan.functions.size());
    for (size_t i = 0; i < plan.functions.size(); ++i) {
      if (HasLoop(plan.functions[i].body, &calls[i])) return true;
    }
    // Functions that call none but those that are known to end; the rest goes in circles.
    std::vector<std::vector<size_t>> callers(calls.size());
    std::vector<size_t> waits(calls.size()), ends;
    for (size_t i = 0; i < calls.size(); ++i) {
      waits[i] = calls[i].size();
      if (waits[i] == 0) ends.push_back(i);
      for (const int callee : calls[i]) callers[static_cast<size_t>(callee)].push_back(i);
    }
    for (size_t next = 0; next < ends.size(); ++next) {
      for (const size_t caller : callers[ends[next]]) {
        if (--waits[caller] == 0) ends.push_back(caller);
      }
    }
    return ends.size() < calls.size();
  }
  static bool HasLoop(const std::vector<PlanStmt>& block, std::vector<int>* calls) {
    for (const PlanStmt& stmt : block) {
      if (stmt.kind == StmtKind::kFor || stmt.kind == StmtKind::kWhile) return true;
      CallsOf(stmt.expr, calls);
      for (const PlanExpr& value : stmt.values) CallsOf(value, calls);
      if (HasLoop(stmt.body, calls) || HasLoop(stmt.otherwise, calls)) return true;
    }
    return false;
  }
  static void CallsOf(const PlanExpr& expr, std::vector<int>* calls) {
    if (expr.kind == PlanExprKind::kCallFunction) calls->push_back(expr.index);
    for (const PlanExpr& child : expr.children) CallsOf(child, calls);
  }

  // Whether values can be much larger than what they are made of. The limit of an event is kept,
  // and reported, event by event.
  bool MakesMuch(const PlanExpr& expr) const {
    switch (expr.kind) {
      case PlanExprKind::kBinary:
        if (expr.binary == BinaryOp::kRange || expr.binary == BinaryOp::kRangeInclusive)
          return true;
        break;
      case PlanExprKind::kCall:
        if (expr.builtin == Builtin::kRange || expr.builtin == Builtin::kJoin ||
            expr.builtin == Builtin::kReplace) {
          return true;
        }
        break;
      case PlanExprKind::kCallFunction:
        if (functions_make_much_) return true;
        break;
      default:
        break;
    }
    return AnyMakesMuch(expr.children);
  }
  bool AnyMakesMuch(const std::vector<PlanExpr>& exprs) const {
    return std::any_of(exprs.begin(), exprs.end(),
                       [&](const PlanExpr& expr) { return MakesMuch(expr); });
  }
  bool BlockMakesMuch(const std::vector<PlanStmt>& block) const {
    return std::any_of(block.begin(), block.end(), [&](const PlanStmt& stmt) {
      return MakesMuch(stmt.expr) || AnyMakesMuch(stmt.values) || BlockMakesMuch(stmt.body) ||
             BlockMakesMuch(stmt.otherwise);
    });
  }
  bool OpMakesMuch(const PlanOp& op) const {
    return AnyMakesMuch(op.exprs) || AnyMakesMuch(op.key) ||
           std::any_of(
               op.aggregates.begin(), op.aggregates.end(),
               [&](const PlanAggregate& aggregate) { return AnyMakesMuch(aggregate.argument); });
  }
  bool SourceMakesMuch(const PlanStream& stream) const {
    return std::any_of(stream.ports.begin(), stream.ports.end(),
                       [&](const PlanPort& port) { return AnyMakesMuch(port.conditions); });
  }

  // The way of a row through a stream and on to the ends of those that read it.
  struct Path {
    bool takes_batches = false;  // one way only, and nothing on it tells rows apart
    int observable = 0;          // operators on it whose work is seen from outside
  };
  const Path& PathFrom(size_t stream) {
    std::vector<size_t> way;  // without a known path; a chain may be long
    while (!paths_[stream].has_value()) {
      way.push_back(stream);
      const std::vector<PlanStream::Consumer>& next = plan_.streams[stream].consumers;
      if (next.size() != 1) break;
      stream = static_cast<size_t>(next[0].stream);
    }
    for (; !way.empty(); way.pop_back()) {
      const PlanStream& at = plan_.streams[way.back()];
      Path path;
      path.takes_batches = at.consumers.size() <= 1;
      if (at.consumers.size() == 1) path = *paths_[static_cast<size_t>(at.consumers[0].stream)];
      if (SourceMakesMuch(at)) path.takes_batches = false;
      bool behind_window = false;
      for (const PlanOp& op : at.ops) {
        if (OneByOne(op, behind_window) || OpMakesMuch(op)) path.takes_batches = false;
        behind_window = behind_window || op.kind == PlanOpKind::kWindow;
        path.observable += IsObservable(op) ? 1 : 0;
      }
      paths_[way.back()] = path;
      stream = way.back();
    }
    return *paths_[stream];
  }

  // See InputType::takes_batches.
  bool TakesBatches(const PlanInput& input) {
    if (plan_.assigns_globals || may_stop_ || input.consumers.size() != 1) return false;
    const Path& path = PathFrom(static_cast<size_t>(input.consumers[0].stream));
    return path.takes_batches && path.observable <= 1;
  }

  void AddInput(const PlanInput& input) {
    const Layout& layout = LayoutAt(input.layout);
    auto type = std::make_unique<InputType>();
    type->name = input.type;
    type->slot_count = static_cast<size_t>(layout.slot_count);
    type->all_fields_slot = layout.all_fields_slot;
    std::shared_ptr<const FieldTable>& fields = field_tables_[input.layout];
    if (fields == nullptr) fields = std::make_shared<FieldTable>(layout.fields);
    type->fields = fields;
    for (const PlanStream::Consumer& consumer : input.consumers) {
      type->consumers.push_back({consumer.stream, consumer.port});
    }
    type->takes_batches = TakesBatches(input);
    const auto timer = timers_.find(input.type);
    const bool is_timer = timer != timers_.end();
    if (is_timer) AddTimer(*timer->second, type.get());
    if (!input.is_stream && !is_timer) graph_->input_event_types_.push_back(input.type);
    graph_->inputs_.Add(type.get());
    graph_->input_types_.push_back(std::move(type));
  }

  void AddTimer(const PlanStream& stream, const InputType* type) {
    Graph::Timer timer;
    timer.type = type;
    timer.stream = stream.name;
    timer.interval_ns = std::max<int64_t>(1, stream.timer_interval);
    if (__builtin_add_overflow(stream.timer_delay, timer.interval_ns, &timer.first_delay_ns)) {
      timer.first_delay_ns = INT64_MAX;
    }
    graph_->timers_.push_back(std::move(timer));
  }

  ExpressionPtr Compile(const PlanExpr& expr) { return CompileExpression(expr, graph_->literals_); }
  std::vector<ExpressionPtr> Compile(const std::vector<PlanExpr>& exprs) {
    std::vector<ExpressionPtr> compiled;
    for (const PlanExpr& expr : exprs) compiled.push_back(Compile(expr));
    return compiled;
  }

  AggregateSet MakeAggregates(const PlanOp& op) {
    std::vector<AggregateSet::Function> functions;
    for (const PlanAggregate& aggregate : op.aggregates) {
      AggregateSet::Function function;
      function.function = aggregate.function;
      function.parameter = aggregate.parameter;
      if (!aggregate.argument.empty()) function.argument = Compile(aggregate.argument[0]);
      functions.push_back(std::move(function));
    }
    return AggregateSet(std::move(functions), Compile(op.exprs));
  }

  std::unique_ptr<Operator> MakeWindow(const PlanOp& op, int64_t lateness) {
    ExpressionPtr key = op.key.empty() ? nullptr : Compile(op.key[0]);
    if (op.window.event_time) {
      return std::make_unique<EventTimeWindow>(op.window, std::move(key),
                                               LayoutAt(op.input_layout).fields, lateness);
    }
    const bool sliding =
        op.window.kind == WindowKind::kSliding || op.window.kind == WindowKind::kSlidingCount;
    std::unique_ptr<WindowContent> content;
    if (op.output_layout < 0) {
      content = std::make_unique<RowWindow>(LayoutAt(op.input_layout).fields);
    } else if (sliding) {
      content = std::make_unique<SlidingAggregateWindow>(MakeAggregates(op), ShapeOf(op));
    } else {
      content = std::make_unique<AggregateWindow>(MakeAggregates(op), ShapeOf(op));
    }
    return std::make_unique<Window>(op.window, std::move(key), std::move(content));
  }

  LookupProvider* ProviderFor(const PlanOp& op) {
    const auto connector =
        std::find_if(plan_.connectors.begin(), plan_.connectors.end(),
                     [&](const PlanConnector& known) { return known.name == op.enrich.connector; });
    if (connector == plan_.connectors.end()) return nullptr;  // refused by the checks
    auto [found, added] = provider_of_.emplace(connector->name, nullptr);
    if (!added) return found->second;
    if (!providers_) {
      errors_->push_back({op.span, "E110",
                          Concat("looking up in a `", connector->type,
                                 "` connector is not supported by this build yet")});
      return nullptr;
    }
    absl::StatusOr<std::unique_ptr<LookupProvider>> provider = providers_(*connector);
    if (!provider.ok()) {
      errors_->push_back({op.span, "E128",
                          Concat("connector `", connector->name, "` cannot be opened: ",
                                 std::string(provider.status().message()))});
      return nullptr;
    }
    graph_->providers_.push_back(*std::move(provider));
    return found->second = graph_->providers_.back().get();
  }

  AggregateShape ShapeOf(const PlanOp& op) const {
    return {static_cast<size_t>(LayoutAt(op.output_layout).slot_count), op.partition_slot,
            op.key_slot};
  }

  std::unique_ptr<Operator> MakeOperator(const PlanStream& stream, const PlanOp& op,
                                         int64_t lateness) {
    if (op.kind == PlanOpKind::kWindow) return MakeWindow(op, lateness);
    if (op.kind == PlanOpKind::kAggregate) {
      return std::make_unique<Aggregate>(MakeAggregates(op), ShapeOf(op),
                                         op.key.empty() ? nullptr : Compile(op.key[0]));
    }
    std::vector<ExpressionPtr> exprs = Compile(op.exprs);
    switch (op.kind) {
      case PlanOpKind::kFilter:
        return std::make_unique<Filter>(std::move(exprs[0]));
      case PlanOpKind::kSelect:
        return std::make_unique<Select>(std::move(exprs));
      case PlanOpKind::kEmit:
        return std::make_unique<Emit>(stream.name, op.output_type,
                                      LayoutAt(op.output_layout).fields, std::move(exprs));
      case PlanOpKind::kDistinct:
        return std::make_unique<Distinct>(std::move(exprs[0]));
      case PlanOpKind::kLimit:
        return std::make_unique<Limit>(op.count);
      case PlanOpKind::kMap:
        return std::make_unique<MapTo>(std::move(exprs[0]), LayoutAt(op.output_layout).fields,
                                       LayoutAt(op.output_layout).all_fields_slot,
                                       exprs.size() > 1 ? std::move(exprs[1]) : nullptr,
                                       LayoutAt(op.output_layout).type_slot);
      case PlanOpKind::kOrderBy:
        return std::make_unique<OrderBy>(std::move(exprs), op.descending);
      case PlanOpKind::kProcess:
        return std::make_unique<Process>(std::move(exprs[0]));
      case PlanOpKind::kOutput:
        return std::make_unique<Output>(stream.name, LayoutAt(op.input_layout).fields,
                                        LayoutAt(op.input_layout).type_slot);
      case PlanOpKind::kPrint:
        return Speak::Print(op.text, std::move(exprs));
      case PlanOpKind::kLog:
        return Speak::Log(op.level, op.text, std::move(exprs[0]));
      case PlanOpKind::kTap:
        return Speak::Tap(op.text, op.labels, std::move(exprs));
      case PlanOpKind::kWatermark:
        return std::make_unique<Watermark>(op.count, op.lateness);
      case PlanOpKind::kEnrich:
        return std::make_unique<Enrich>(
            op.enrich, std::move(exprs[0]), LiteralValue(op.enrich.fallback, graph_->literals_),
            ProviderFor(op), Assembly(LayoutAt(op.output_layout), plan_.layouts));
      case PlanOpKind::kWindow:
      case PlanOpKind::kAggregate:
        break;
    }
    return nullptr;
  }

  void AddPorts(const PlanStream& planned, Graph::Stream& stream) {
    if (planned.source != SourcePlanKind::kMerge && planned.source != SourcePlanKind::kJoin) return;
    const Layout& layout = LayoutAt(planned.input_layout);
    auto assembly = std::make_shared<const Assembly>(layout, plan_.layouts);
    if (planned.source == SourcePlanKind::kMerge) {
      auto parts = std::make_shared<std::vector<const Value*>>(planned.ports.size());
      for (size_t port = 0; port < planned.ports.size(); ++port) {
        stream.ports.push_back(std::make_unique<MergePort>(
            static_cast<int>(port), parts, Compile(planned.ports[port].conditions), assembly));
      }
      return;
    }
    std::vector<Join::Source> sources;
    for (size_t place = 0; place < planned.join.size(); ++place) {
      const Layout& rows = LayoutAt(layout.parts[place].layout);
      Join::Source source;
      source.key = Compile(planned.join[place].key);
      source.slot_count = static_cast<size_t>(rows.slot_count);
      std::vector<bool> read(source.slot_count, false);
      for (const std::vector<Layout::Origin>& origins : layout.origins) {
        for (const Layout::Origin& origin : origins) {
          if (origin.part != static_cast<int>(place)) continue;
          if (origin.slot >= 0) read[static_cast<size_t>(origin.slot)] = true;
          if (origin.slot == Layout::kAllSlots) read.assign(read.size(), true);
        }
      }
      for (size_t slot = 0; slot < read.size(); ++slot) {
        if (!read[slot]) continue;
        source.slots.push_back(static_cast<int>(slot));
        source.names.push_back(rows.fields[slot]);
      }
      sources.push_back(std::move(source));
    }
    auto join = std::make_shared<Join>(std::move(sources), planned.join_window, assembly);
    for (size_t port = 0; port < planned.ports.size(); ++port) {
      stream.ports.push_back(
          std::make_unique<JoinPort>(join, planned.ports[port].places, port == 0));
    }
    stream.ports_fingerprint = planned.join_fingerprint;
  }

  // A constant is a part of the definition of what uses it, like the literal that could stand
  // there: another value is another operator. How the value is computed does not matter.
  std::string ConstantText(int global) const {
    varpulis::v1::Value value;
    ValueToProto(graph_->globals_.values()[global], &value);
    return value.SerializeAsString();
  }

  void AddStream(int index) {
    const PlanStream& planned = plan_.streams[static_cast<size_t>(index)];
    Graph::Stream stream;
    stream.name = planned.name;
    for (const PlanStream::Consumer& consumer : planned.consumers) {
      stream.consumers.push_back({consumer.stream, consumer.port});
    }
    stream.end = std::make_unique<StreamEnd>(index, !planned.consumers.empty());
    int64_t lateness = 0;
    Watermark* watermark = nullptr;
    std::string constants;
    size_t constants_known = 0;
    for (const PlanOp& op : planned.ops) {
      stream.operators.push_back(MakeOperator(planned, op, lateness));
      for (; constants_known < op.constants; ++constants_known) {
        constants = Fingerprint(constants + ConstantText(planned.constants[constants_known]));
      }
      stream.fingerprints.push_back(constants.empty() ? op.fingerprint
                                                      : Fingerprint(op.fingerprint + constants));
      if (op.kind == PlanOpKind::kWatermark) {
        lateness = op.lateness;
        watermark = static_cast<Watermark*>(stream.operators.back().get());
      } else if (op.kind == PlanOpKind::kWindow && op.window.event_time) {
        watermark->AddWindow(static_cast<EventTimeWindow*>(stream.operators.back().get()));
      }
    }
    for (size_t i = 0; i < stream.operators.size(); ++i) {
      const bool last = i + 1 == stream.operators.size();
      stream.operators[i]->set_next(last ? stream.end.get() : stream.operators[i + 1].get());
    }
    AddPorts(planned, stream);
    for (const std::unique_ptr<Operator>& port : stream.ports) port->set_next(stream.head());
    graph_->streams_.push_back(std::move(stream));
  }

  const Plan& plan_;
  const LookupProviderFactory& providers_;
  absl::flat_hash_map<std::string, LookupProvider*> provider_of_;
  std::vector<LoadError>* errors_;
  bool may_stop_ = false;
  std::vector<std::optional<Path>> paths_;                           // by stream
  absl::flat_hash_map<std::string_view, const PlanStream*> timers_;  // by the type of their ticks
  absl::flat_hash_map<int, std::shared_ptr<const FieldTable>> field_tables_;  // by layout
  bool functions_make_much_ = false;
  std::unique_ptr<Graph> graph_;
};

std::unique_ptr<Graph> BuildGraph(const Plan& plan, std::string_view source,
                                  const LookupProviderFactory& providers, const RunLimits& limits,
                                  std::vector<LoadError>* errors) {
  return GraphBuilder(plan, providers, limits, errors).Run(source);
}

}  // namespace varpulis::engine
