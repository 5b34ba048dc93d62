#include "engine/lang/supported.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

constexpr OpKind kOps[] = {
    OpKind::kTo,      OpKind::kStep,           OpKind::kWithin,   OpKind::kNot,
    OpKind::kPattern, OpKind::kTrendAggregate, OpKind::kForecast, OpKind::kScore,
};

struct UnsupportedSource {
  SourceKind kind;
  std::string_view what;
};
constexpr UnsupportedSource kSources[] = {
    {SourceKind::kConnector, "`.from(…)`"},
    {SourceKind::kSequence, "`sequence(…)`"},
};

struct UnsupportedExpr {
  ExprKind kind;
  std::string_view what;
};
constexpr UnsupportedExpr kExprs[] = {
    {ExprKind::kApply, "calls of values are"},
};

class Reporter {
 public:
  explicit Reporter(DiagnosticList& diagnostics) : diagnostics_(diagnostics) {}

  void operator()(const EventDecl&) {}
  void operator()(const TypeDecl&) {}
  void operator()(const VariableDecl& variable) { InExpr(variable.value); }
  void operator()(const FunctionDecl&) {}
  void operator()(const PatternDecl& pattern) { Report(pattern.span, "pattern declarations are"); }
  void operator()(const ConnectorDecl&) {}  // reported where it is used
  void operator()(const ContextDecl&) {}    // a hint of placement: changes no result
  void operator()(const ImportDecl&) {}     // resolved before, or refused by the checks
  void operator()(const ConfigDecl&) {}     // deprecated, without effect

  void operator()(const StreamDecl& stream) {
    for (const UnsupportedSource& source : kSources) {
      if (source.kind == stream.source.kind) {
        Report(stream.source.span, Concat(source.what, " is"));
      }
    }
    for (const StreamOp& op : stream.ops) InOp(op);
  }

 private:
  void InOp(const StreamOp& op) {
    for (OpKind kind : kOps) {
      if (kind != op.kind) continue;
      if (kind == OpKind::kStep) return Report(op.name.span, "pattern steps (`->`) are");
      return Report(op.name.span, Concat("`.", op.name.text, "` is"));
    }
    InExpr(op.expr);
    for (const NamedExpr& named : op.named) InExpr(named.expr);
    for (const ExprPtr& arg : op.args) InExpr(arg);
  }

  void InExpr(const ExprPtr& expr) {
    if (expr == nullptr) return;
    for (const UnsupportedExpr& unsupported : kExprs) {
      if (unsupported.kind == expr->kind) return Report(expr->main_span, unsupported.what);
    }
    for (const ExprPtr& child : expr->children) InExpr(child);
  }

  void Report(Span span, std::string_view what) {
    diagnostics_.Error(span, "E110", Concat(what, " not supported by this build yet"));
  }

  DiagnosticList& diagnostics_;
};

}  // namespace

bool RunsInThisBuild(OpKind op) {
  return std::find(std::begin(kOps), std::end(kOps), op) == std::end(kOps);
}

void ReportUnsupported(const Program& program, DiagnosticList& diagnostics) {
  Reporter report(diagnostics);
  for (const Statement& statement : program.statements) std::visit(report, statement);
}

}  // namespace varpulis::engine
