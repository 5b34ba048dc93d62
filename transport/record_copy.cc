#include "transport/record_copy.h"

#include <algorithm>
#include <utility>

namespace varpulis::transport {

void RecordCopy::Apply(KeyValueEntry entry) {
  newest_[std::move(entry.key)] = {
      .value = std::move(entry.value), .sequence = entry.revision, .removed = entry.deleted};
}

std::vector<Record> RecordCopy::Take() {
  std::vector<Record> records;
  records.reserve(newest_.size());
  for (auto& [key, newest] : newest_) {
    if (!newest.removed) records.push_back({key, std::move(newest.value), newest.sequence});
  }
  Clear();
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return a.sequence < b.sequence; });
  return records;
}

}  // namespace varpulis::transport
