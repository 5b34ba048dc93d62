#include "engine/runtime/distinct_counts.h"

#include <algorithm>

namespace varpulis::engine {

void DistinctCounts::Add(const Value& value, uint64_t times) {
  auto found = counts_.find(value);
  if (found == counts_.end()) {
    counts_.insert(Counted{OwnedValue(value), times});
  } else {
    found->times += times;
  }
}

void DistinctCounts::Remove(const Value& value) {
  auto found = counts_.find(value);
  if (found != counts_.end() && --found->times == 0) counts_.erase(found);
}

std::vector<std::pair<Value, uint64_t>> DistinctCounts::Sorted() const {
  std::vector<std::pair<Value, uint64_t>> sorted;
  for (const Counted& counted : counts_) sorted.emplace_back(counted.value.get(), counted.times);
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::pair(HashValue(a.first), a.first.kind()) <
           std::pair(HashValue(b.first), b.first.kind());
  });
  return sorted;
}

}  // namespace varpulis::engine
