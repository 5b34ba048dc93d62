#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/operator.h"

namespace varpulis::engine {

// Puts rows of another layout together from those of the parts of a merge or join.
class Assembly {
 public:
  // Borrows nothing of `plan`.
  Assembly(const Layout& layout, const std::vector<Layout>& layouts);

  size_t slot_count() const { return origins_.size(); }
  // `parts[i]` are the slots of a row of part i, or null when there is none.
  Value* Make(const Value* const* parts, Arena& arena) const;

 private:
  struct Part {
    std::vector<std::string> prefixes;  // of its fields in a map of all
    std::vector<std::string> fields;    // by slot; for closed layouts
  };
  template <typename Add>
  void EachField(const Value* const* parts, Add add) const;
  Value AllOf(const Value* const* parts, Arena& arena) const;

  std::vector<std::vector<Layout::Origin>> origins_;  // by slot
  std::vector<Part> parts_;
  int all_slot_;
  bool plain_too_ = false;  // of a join: the fields are also there without the name of their source
};

// A way into a merge: rows of one type, if one of its clauses lets them pass.
class MergePort final : public Operator {
 public:
  // The ports of one merge share `parts`, one place for each, all null.
  using Parts = std::shared_ptr<std::vector<const Value*>>;
  MergePort(int part, Parts parts, std::vector<ExpressionPtr> conditions,
            std::shared_ptr<const Assembly> assembly)
      : part_(static_cast<size_t>(part)),
        parts_(std::move(parts)),
        conditions_(std::move(conditions)),
        assembly_(std::move(assembly)) {}
  void OnBatch(Batch batch, RunContext& run) override;

 private:
  size_t part_;
  Parts parts_;
  std::vector<ExpressionPtr> conditions_;
  std::shared_ptr<const Assembly> assembly_;
};

}  // namespace varpulis::engine
