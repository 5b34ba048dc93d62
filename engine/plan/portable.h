#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "engine/plan/plan.h"

namespace varpulis::engine {

// An expression as text for fingerprints: the same in every program where it means the same.
// Slots are numbered by first use in the whole program; field names make the text independent of
// what other streams read. Functions count with everything they call, each once: calls name them by
// the order in which they are met, so that neither recursion nor a long chain of calls matters.
class PortableText {
 public:
  // `layout`: of the rows that the expression reads; -1: none.
  PortableText(const Plan& plan, int layout) : plan_(plan), layout_(layout) {}

  std::string Of(const PlanExpr& expr);

 private:
  std::string Text(const PlanExpr& expr);
  void AddBlock(const std::vector<PlanStmt>& block, std::string* out);

  const Plan& plan_;
  const int layout_;
  std::vector<int> functions_;  // in the order met
  absl::flat_hash_map<int, size_t> numbers_;
};

}  // namespace varpulis::engine
