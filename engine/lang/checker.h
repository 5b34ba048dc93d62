#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "engine/lang/ast.h"
#include "engine/lang/check.h"
#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// The semantic checks of vpl.md §11, two passes: collect declarations, then check. Used once;
// borrows the program.
class Checker {
 public:
  Checker(const Program& program, DiagnosticList& diagnostics)
      : program_(program), diagnostics_(diagnostics) {}

  void Run(CheckResult& result);

 private:
  // What is known of the fields of a row at one place of a chain.
  struct Shape {
    bool known = false;  // false: any name may be a field
    std::string owner;   // "event `Reading`", "stream `Hot`"
    std::vector<std::string> names;
    absl::flat_hash_set<std::string> set;
    void Add(const std::string& name) {
      if (set.insert(name).second) names.push_back(name);
    }
  };
  struct Scope {
    const Shape* shape = nullptr;  // null: outside streams, where only earlier variables exist
    std::string_view alias;        // of the source, usable as `alias.field`
    std::string_view type;         // name of the event type at this place
    std::vector<std::string_view> locals;
  };

  // check.cc
  void Collect();
  void Declare(std::string_view code, std::string_view what, const Name& name,
               absl::flat_hash_map<std::string, Span>& names);
  void CheckVariable(const VariableDecl& variable);
  void CheckParents();
  Shape ShapeOfEvent(const std::string& name) const;
  void CheckExpr(const Expr& expr, Scope& scope);
  void CheckName(const Expr& expr, const Scope& scope);
  void CheckMember(const Expr& expr, Scope& scope);
  void CheckCall(const Expr& expr, Scope& scope);
  std::string DeclaredAt(Span span) const;

  // check_stream.cc
  void CheckStreams(CheckResult& result);
  std::vector<size_t> StreamOrder();
  void ReportCycle(size_t start);
  void CheckStream(size_t index);
  void CheckOp(const StreamDecl& stream, const StreamOp& op, Scope& scope, Shape& shape);
  void CheckCondition(const StreamOp& op, Scope& scope);

  const Program& program_;
  DiagnosticList& diagnostics_;
  std::vector<const StreamDecl*> streams_;
  absl::flat_hash_map<std::string, size_t> stream_index_;
  absl::flat_hash_map<std::string, const EventDecl*> events_;
  absl::flat_hash_map<std::string, Span> event_names_, stream_names_, other_names_[7];
  absl::flat_hash_map<std::string, Span> functions_, patterns_, variables_;
  absl::flat_hash_set<std::string> mutable_variables_;
  std::vector<std::string> variable_names_;  // declared so far
  std::vector<Shape> stream_shapes_;         // output shapes, by stream
};

}  // namespace varpulis::engine
