#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace varpulis::transport {

inline constexpr char kDefaultSubjectPrefix[] = "varpulis.cluster";
inline constexpr char kExternal[] = "_external";  // the `from` of events that no pipeline sent
inline constexpr char kTick[] = "_tick";  // the `from` of messages that say that time has passed

// The subject grammar. No other file spells a subject, bucket or key of ours.
// Value type. Builders require names that passed the Validate functions.
class Subjects {
 public:
  explicit Subjects(std::string prefix = kDefaultSubjectPrefix) : root_(std::move(prefix)) {}

  const std::string& root() const { return root_; }

  std::string Register() const;                           // {root}.register
  std::string Heartbeat(absl::string_view worker) const;  // {root}.heartbeat.{worker}
  std::string AnyHeartbeat() const;                       // {root}.heartbeat.*
  std::string Command(absl::string_view worker,
                      absl::string_view verb) const;  // {root}.cmd.{worker}.{verb}
  std::string Inject(absl::string_view group) const;  // {root}.inject.{group}
  std::string AnyInject() const;
  std::string InjectBatch(absl::string_view group) const;  // {root}.inject_batch.{group}
  std::string AnyInjectBatch() const;
  std::string Pipeline(absl::string_view group, absl::string_view from, absl::string_view to) const;
  std::string AnyIntoPipeline(absl::string_view group,
                              absl::string_view to) const;  // {root}.pipeline.{group}.*.{to}
  std::string Output(absl::string_view group, absl::string_view pipeline) const;
  std::string Api(absl::string_view resource,
                  absl::string_view verb) const;     // {root}.api.{resource}.{verb}
  std::string Notice(absl::string_view kind) const;  // {root}.notice.{kind}
  std::string AnyNotice() const;
  // {root}.checkpoint.{group}.{pipeline}.{replica}; the parts of a checkpoint lie under it.
  std::string Checkpoint(absl::string_view group, absl::string_view pipeline,
                         uint32_t replica) const;

  // The token `from` of a writer into `Pipeline`: each copy of a pipeline is one of its own where
  // what it publishes is stored. "p", of a replica "p#2".
  static std::string Writer(absl::string_view pipeline, uint32_t replica, uint32_t replicas);

  // The last token, if `subject` is {root}.{kind}.{token}: heartbeat, inject, inject_batch.
  std::optional<std::string> TokenAfter(absl::string_view kind, absl::string_view subject) const;
  // {from} of a pipeline subject of this root.
  struct PipelineSubject {
    std::string group, from, to;
  };
  std::optional<PipelineSubject> ParsePipeline(absl::string_view subject) const;

  // The KV bucket of the coordinator's state: "VARPULIS_CLUSTER_STATE" for the default root;
  // another root gives another bucket, so that clusters can share a broker.
  std::string StateBucket() const;
  // The bucket in which coordinators compete for the lead: "{state bucket}-LEASE", which is no
  // root's state bucket.
  std::string LeaseBucket() const;
  // The stream of the checkpoints, named likewise, and what lies above all their subjects.
  struct Stream {
    std::string name, subject;
  };
  Stream CheckpointStream() const;
  // Of all that is published into one pipeline of an exactly-once group: {root}.pipeline.{group}.*.
  // {pipeline}.
  Stream InputStream(absl::string_view group, absl::string_view pipeline) const;
  // Of the outputs of one copy that no route takes: {root}.outbox.{group}.{pipeline}.{replica}. The
  // broker publishes them again on Output().
  Stream OutboxStream(absl::string_view group, absl::string_view pipeline, uint32_t replica) const;

  // Where the copies of exactly-once groups say how far they are while they recover: the stream and
  // all its subjects, and a copy's own.
  Stream ReplayStream() const;
  std::string Replay(absl::string_view group, absl::string_view pipeline, uint32_t replica) const;
  // Inputs of exactly-once pipelines that crashed their workers: the stream and all its subjects,
  // and a pipeline's own.
  Stream DeadLetterStream() const;
  std::string DeadLetter(absl::string_view group, absl::string_view pipeline) const;

  // INVALID_ARGUMENT unless `subject` may be a route's own subject: no wildcards, no blanks,
  // nothing under `$` or under this root, no empty tokens.
  absl::Status ValidateCustomSubject(absl::string_view subject) const;

 private:
  // Of a bucket or stream.
  std::string Named(absl::string_view name) const;

  std::string root_;
};

// INVALID_ARGUMENT with the rule in the message.
absl::Status ValidateWorkerId(absl::string_view id);  // [A-Za-z0-9_-]{1,64}
// [A-Za-z0-9_-]{1,128}, not "_external" or "_tick"
absl::Status ValidatePipelineName(absl::string_view name);
absl::Status ValidateGroupId(absl::string_view id);     // [A-Za-z0-9_-]{1,64}; ours are UUIDs
absl::Status ValidatePipelineId(absl::string_view id);  // the same, of a copy on a worker
absl::Status ValidateSubjectPrefix(absl::string_view prefix);
// The NATS subject that an MQTT topic is for nats-server's listener: '/' becomes '.'; no '.', '+',
// '#'.
absl::StatusOr<std::string> SubjectOfMqttTopic(absl::string_view topic);

}  // namespace varpulis::transport
