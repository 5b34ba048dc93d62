#include "engine/runtime/sources.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace varpulis::engine {

Assembly::Assembly(const Layout& layout, const std::vector<Layout>& layouts)
    : origins_(layout.origins),
      all_slot_(layout.all_fields_slot),
      plain_too_(layout.kind == Layout::Kind::kJoin) {
  origins_.resize(static_cast<size_t>(layout.slot_count));
  for (const Layout::Part& part : layout.parts) {
    Part& added = parts_.emplace_back();
    if (all_slot_ < 0) continue;  // nobody asks for the names
    added.fields = layouts[static_cast<size_t>(part.layout)].fields;
    if (!plain_too_) continue;
    added.prefixes.push_back(part.label + ".");
    if (part.type != part.label) added.prefixes.push_back(part.type + ".");
  }
}

template <typename Add>
void Assembly::EachField(const Value* const* parts, Add add) const {
  for (const Layout::Origin& origin : origins_[static_cast<size_t>(all_slot_)]) {
    const Value* slots = parts[origin.part];
    if (slots == nullptr) continue;
    const Part& part = parts_[static_cast<size_t>(origin.part)];
    if (origin.slot != Layout::kAllSlots) {
      const Value& all = slots[origin.slot];
      for (size_t i = 0; all.is(ValueKind::kMap) && i < all.size(); ++i) {
        add(part, all.entries()[i].key, all.entries()[i].value);
      }
      continue;
    }
    for (size_t i = 0; i < part.fields.size(); ++i) {
      if (!part.fields[i].empty() && !slots[i].missing()) add(part, part.fields[i], slots[i]);
    }
  }
}

// vpl.md §6.1: of a join `Source.f`, `Type.f`, and `f` of the first source that has it.
Value Assembly::AllOf(const Value* const* parts, Arena& arena) const {
  std::vector<MapEntry> entries;
  EachField(parts, [&](const Part& part, std::string_view name, const Value& value) {
    for (const std::string& prefix : part.prefixes) {
      entries.push_back({arena.CopyString(prefix + std::string(name)), value});
    }
    if (!plain_too_) entries.push_back({name, value});
  });
  if (plain_too_) {
    absl::flat_hash_set<std::string_view> seen;
    EachField(parts, [&](const Part&, std::string_view name, const Value& value) {
      if (seen.insert(name).second) entries.push_back({name, value});
    });
  }
  auto* copy = arena.Allocate<MapEntry>(entries.size());
  std::copy(entries.begin(), entries.end(), copy);
  return Value::Map(copy, entries.size());
}

Value* Assembly::Make(const Value* const* parts, Arena& arena) const {
  auto* slots = arena.Allocate<Value>(origins_.size());
  for (size_t slot = 0; slot < origins_.size(); ++slot) {
    slots[slot] = Value();
    if (static_cast<int>(slot) == all_slot_) {
      slots[slot] = AllOf(parts, arena);
      continue;
    }
    for (const Layout::Origin& origin : origins_[slot]) {
      if (parts[origin.part] == nullptr) continue;
      slots[slot] = parts[origin.part][origin.slot];
      if (!slots[slot].missing()) break;
    }
  }
  return slots;
}

void MergePort::OnBatch(Batch batch, RunContext& run) {
  size_t kept = 0;
  for (const Row& row : batch) {
    const bool passes = std::any_of(
        conditions_.begin(), conditions_.end(),
        [&](const ExpressionPtr& condition) { return Evaluate(*condition, row, run).is_true(); });
    if (!passes) continue;
    (*parts_)[part_] = row.slots;
    batch[kept++] = {row.timestamp_ns, assembly_->Make(parts_->data(), *run.eval.arena)};
  }
  (*parts_)[part_] = nullptr;
  if (kept > 0) next_->OnBatch(batch.subspan(0, kept), run);
}

}  // namespace varpulis::engine
