#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "base/ids.h"
#include "base/mutex.h"
#include "coordinator/cluster_state.h"
#include "proto/cluster.pb.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {

// What the worker needs to publish this pipeline's outputs and to hear its inputs. `request` says
// already which copy it is about.
void AddRoutes(const transport::Subjects& subjects, const Group& group, const Pipeline& pipeline,
               varpulis::v1::DeployPipelineRequest& request);

// The external routes of one group, compiled: event type → pipeline. Exact types are a hash
// look-up, patterns with a trailing '*' a walk down a trie, O(length) whatever the number of
// routes. Where several match, the first in the order of the specification wins. Immutable.
class RouteMatcher {
 public:
  explicit RouteMatcher(const Group& group);

  // Index of the pipeline, or nothing when no external route matches.
  std::optional<size_t> Match(absl::string_view event_type) const;

 private:
  struct Hit {
    uint32_t order = UINT32_MAX;  // position of the pattern among all
    size_t pipeline = 0;
  };
  struct Node {
    absl::flat_hash_map<char, uint32_t> children;
    Hit hit;  // of the pattern that ends here
  };

  void Add(absl::string_view pattern, Hit hit);

  absl::flat_hash_map<std::string, Hit> exact_;
  std::vector<Node> nodes_;  // the first is the root
};

// Where an event goes. Value type.
struct Target {
  std::string copy_name;
  WorkerId worker;
  PipelineId pipeline_id;
  uint64_t epoch = 0;
  bool running = false;
  std::string error;  // why it does not run
};

// One group as injecting sees it. Immutable but for the turns, which are atomic.
class GroupRouting {
 public:
  // Reuses the matcher and the turns of `previous`, which never change while a group lives.
  GroupRouting(const Group& group, const GroupRouting* previous);

  struct Choice {
    Target target;
    bool matched = true;  // false: no route matched, the first pipeline takes it
  };
  // NOT_FOUND (no_route) when nothing matches and `strict`. Where replicas take turns, an event
  // with an id always goes to the same one, which knows whether it has had it.
  absl::StatusOr<Choice> Choose(const varpulis::v1::Event& event, bool strict,
                                absl::string_view event_id = {}) const;

 private:
  struct Destination {
    std::string partition_key;  // empty: replicas take turns
    std::vector<Target> copies;
  };

  std::shared_ptr<const RouteMatcher> matcher_;
  std::shared_ptr<std::vector<std::atomic<uint64_t>>> turns_;
  std::vector<Destination> destinations_;
};

// The text that partitioning hashes (base/partition_hash.h). Lists and maps count as missing.
std::string CanonicalText(const varpulis::v1::Value& value);

// The routing of all groups. Thread-safe: the strand sets, transport threads look up.
class RoutingTable {
 public:
  void Set(const GroupId& group, std::shared_ptr<const GroupRouting> routing);
  void Erase(const GroupId& group);
  void Clear();
  std::shared_ptr<const GroupRouting> Find(const GroupId& group) const;  // null: unknown group

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<GroupId, std::shared_ptr<const GroupRouting>> groups_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace varpulis::coordinator
