#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/ids.h"

namespace varpulis::worker {

// What one deployed copy of a pipeline is. Value type, constant while the copy lives.
struct Placement {
  PipelineId id;
  GroupId group;  // empty: deployed over the worker's own API, known to no coordinator
  std::string name;
  uint32_t replica = 0;
  uint32_t replicas = 1;  // 1: not replicated
  std::optional<std::string> partition_key;
  uint64_t epoch = 0;

  bool local() const { return group.empty(); }
  bool replicated() const { return replicas > 1; }
  // As the coordinator's API names it: "p", or "p#2".
  std::string DisplayName() const { return replicated() ? absl::StrCat(name, "#", replica) : name; }
};

}  // namespace varpulis::worker
