#include "engine/runtime/build.h"

#include <utility>

#include "engine/lang/concat.h"
#include "engine/plan/fingerprint.h"
#include "engine/runtime/distinct.h"
#include "engine/runtime/operators.h"

namespace varpulis::engine {

class GraphBuilder {
 public:
  GraphBuilder(const Plan& plan, std::vector<LoadError>* errors)
      : plan_(plan), errors_(errors), graph_(new Graph()) {}

  std::unique_ptr<Graph> Run(std::string_view source) {
    graph_->fingerprint_ = Fingerprint(source);
    graph_->debug_string_ = plan_.DebugString();
    graph_->locals_.resize(static_cast<size_t>(plan_.local_count));
    RunInitialisers();
    if (!errors_->empty()) return nullptr;
    for (const PlanInput& input : plan_.inputs) AddInput(input);
    for (size_t i = 0; i < plan_.streams.size(); ++i) AddStream(static_cast<int>(i));
    EvalContext& eval = graph_->run_.eval;
    eval.globals = graph_->global_values_.data();
    eval.locals = graph_->locals_.data();
    eval.arena = &graph_->arena_;
    return std::move(graph_);
  }

 private:
  void RunInitialisers() {
    for (const PlanGlobal& global : plan_.globals) {
      Graph::Global added;
      added.name = global.name;
      added.is_mutable = global.is_mutable;
      graph_->globals_.push_back(std::move(added));
    }
    graph_->global_values_.resize(plan_.globals.size());
    Arena scratch;
    EvalContext eval;
    eval.has_event = false;
    eval.globals = graph_->global_values_.data();
    eval.locals = graph_->locals_.data();
    eval.arena = &scratch;
    for (const PlanAssignment& assignment : plan_.assignments) {
      const Value value = CompileExpression(assignment.value, scratch)->Evaluate(eval);
      const auto index = static_cast<size_t>(assignment.global);
      if (value.missing()) {
        errors_->push_back({assignment.span, Concat("the value of `", plan_.globals[index].name,
                                                    "` cannot be computed")});
      }
      graph_->globals_[index].value = OwnedValue(value);
      graph_->global_values_[index] = graph_->globals_[index].value.get();
      scratch.Reset();
    }
  }

  const Layout& LayoutAt(int index) const { return plan_.layouts[static_cast<size_t>(index)]; }

  // See InputType::takes_batches.
  bool TakesBatches(const PlanInput& input) const {
    int emits = 0;
    const std::vector<int>* next = &input.streams;
    while (next->size() == 1) {
      const PlanStream& stream = plan_.streams[static_cast<size_t>((*next)[0])];
      for (const PlanOp& op : stream.ops) emits += op.kind == PlanOpKind::kEmit ? 1 : 0;
      next = &stream.consumers;
    }
    return next->empty() && !input.streams.empty() && emits <= 1;
  }

  void AddInput(const PlanInput& input) {
    const Layout& layout = LayoutAt(input.layout);
    auto type = std::make_unique<InputType>();
    type->name = input.type;
    type->fields = layout.fields;
    type->slot_count = static_cast<size_t>(layout.slot_count);
    type->all_fields_slot = layout.all_fields_slot;
    for (size_t slot = 0; slot < type->fields.size(); ++slot) {
      if (static_cast<int>(slot) != layout.all_fields_slot) {
        type->slot_of.emplace(type->fields[slot], static_cast<int>(slot));
      }
    }
    type->streams = input.streams;
    type->takes_batches = TakesBatches(input);
    if (!input.is_stream) graph_->input_event_types_.push_back(input.type);
    graph_->inputs_.Add(type.get());
    graph_->input_types_.push_back(std::move(type));
  }

  std::vector<ExpressionPtr> Compile(const std::vector<PlanExpr>& exprs) {
    std::vector<ExpressionPtr> compiled;
    for (const PlanExpr& expr : exprs) {
      compiled.push_back(CompileExpression(expr, graph_->literals_));
    }
    return compiled;
  }

  std::unique_ptr<Operator> MakeOperator(const PlanStream& stream, const PlanOp& op) {
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
    }
    return nullptr;
  }

  void AddStream(int index) {
    const PlanStream& planned = plan_.streams[static_cast<size_t>(index)];
    Graph::Stream stream;
    stream.name = planned.name;
    stream.consumers = planned.consumers;
    stream.end = std::make_unique<StreamEnd>(index, !planned.consumers.empty());
    for (const PlanOp& op : planned.ops) {
      stream.operators.push_back(MakeOperator(planned, op));
      stream.fingerprints.push_back(op.fingerprint);
    }
    for (size_t i = 0; i < stream.operators.size(); ++i) {
      const bool last = i + 1 == stream.operators.size();
      stream.operators[i]->set_next(last ? stream.end.get() : stream.operators[i + 1].get());
    }
    graph_->streams_.push_back(std::move(stream));
  }

  const Plan& plan_;
  std::vector<LoadError>* errors_;
  std::unique_ptr<Graph> graph_;
};

std::unique_ptr<Graph> BuildGraph(const Plan& plan, std::string_view source,
                                  std::vector<LoadError>* errors) {
  return GraphBuilder(plan, errors).Run(source);
}

}  // namespace varpulis::engine
