#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "coordinator/cluster_state.h"
#include "coordinator/effect.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {

enum class PlacementStrategy { kRoundRobin, kLeastLoaded };

// What stays the same while a coordinator runs. Value type.
struct Policy {
  absl::Duration heartbeat_interval = absl::Seconds(5);
  absl::Duration heartbeat_timeout = absl::Seconds(15);
  // How often each worker's process is asked whether it lives, and for how long nobody must listen
  // before it counts as dead.
  absl::Duration ping_interval = absl::Milliseconds(50);
  absl::Duration ping_death = absl::Milliseconds(250);
  // How long nothing is moved off workers that are gone when it may be the broker that was.
  absl::Duration failover_hold = absl::Seconds(5);
  absl::Duration retry_backoff = absl::Seconds(1);       // doubled per attempt …
  absl::Duration retry_backoff_max = absl::Seconds(30);  // … up to this
  PlacementStrategy placement = PlacementStrategy::kRoundRobin;
  bool strict_routing = false;
  uint32_t max_pipelines_per_group = 4096;
  uint32_t stream_replicas = 1;  // of what workers have the broker store
  transport::Subjects subjects;
};

// One transition under way: what it reads, changes and asks for. Lives during one Apply.
struct Step {
  ClusterState& state;
  const Policy& policy;
  absl::Time now;
  Effects& effects;

  template <typename Message>
  void Reply(ReplyToken to, Message body) {
    if (to == kNobody) return;
    effects.answers.push_back({to, absl::OkStatus(), std::make_shared<Message>(std::move(body))});
  }
  void Fail(ReplyToken to, absl::Status status) {
    if (to != kNobody) effects.answers.push_back({to, std::move(status), nullptr});
  }
  void Notify(std::string kind, std::string about, std::string text) {
    varpulis::v1::Notice notice;
    notice.set_kind(std::move(kind));
    notice.set_subject_id(std::move(about));
    notice.set_text(std::move(text));
    notice.set_leader_epoch(state.leader_epoch);
    effects.notices.push_back(std::move(notice));
  }
  void Write(StateWrite write) { effects.writes.push_back(std::move(write)); }
  absl::Duration Backoff(uint32_t attempts) const {
    absl::Duration delay = policy.retry_backoff;
    for (uint32_t i = 1; i < attempts && delay < policy.retry_backoff_max; ++i) delay *= 2;
    return std::min(delay, policy.retry_backoff_max);
  }
};

}  // namespace varpulis::coordinator
