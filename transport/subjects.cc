#include "transport/subjects.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace varpulis::transport {
namespace {

constexpr size_t kMaxSubjectBytes = 255;
constexpr size_t kMaxPrefixBytes = 64;
constexpr char kStateBucket[] = "VARPULIS_CLUSTER_STATE";
constexpr char kCheckpointStream[] = "VARPULIS_CLUSTER_CHECKPOINTS";
constexpr char kInputStream[] = "VARPULIS_CLUSTER_IN";
constexpr char kOutboxStream[] = "VARPULIS_CLUSTER_OUT";
constexpr char kReplayStream[] = "VARPULIS_CLUSTER_REPLAY";
constexpr char kDeadLetterStream[] = "VARPULIS_CLUSTER_DEAD_LETTERS";

bool IsTokenChar(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; }

// The only tokens that we ever put into a subject or take out of one.
bool IsToken(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

absl::Status ValidateToken(absl::string_view what, absl::string_view text, size_t max_bytes) {
  if (IsToken(text) && text.size() <= max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " must be 1 to ", max_bytes, " characters of A-Z a-z 0-9 _ -"));
}

bool IsUnder(absl::string_view subject, absl::string_view root) {
  return absl::ConsumePrefix(&subject, root) && (subject.empty() || subject.front() == '.');
}

}  // namespace

std::string Subjects::Register() const { return absl::StrCat(root_, ".register"); }

std::string Subjects::Heartbeat(absl::string_view worker) const {
  return absl::StrCat(root_, ".heartbeat.", worker);
}

std::string Subjects::AnyHeartbeat() const { return Heartbeat("*"); }

std::string Subjects::Command(absl::string_view worker, absl::string_view verb) const {
  return absl::StrCat(root_, ".cmd.", worker, ".", verb);
}

std::string Subjects::Inject(absl::string_view group) const {
  return absl::StrCat(root_, ".inject.", group);
}

std::string Subjects::AnyInject() const { return Inject("*"); }

std::string Subjects::InjectBatch(absl::string_view group) const {
  return absl::StrCat(root_, ".inject_batch.", group);
}

std::string Subjects::AnyInjectBatch() const { return InjectBatch("*"); }

std::string Subjects::Pipeline(absl::string_view group, absl::string_view from,
                               absl::string_view to) const {
  return absl::StrCat(root_, ".pipeline.", group, ".", absl::StrCat(from, ".", to));
}

std::string Subjects::AnyIntoPipeline(absl::string_view group, absl::string_view to) const {
  return Pipeline(group, "*", to);
}

std::string Subjects::Output(absl::string_view group, absl::string_view pipeline) const {
  return absl::StrCat(root_, ".output.", group, ".", pipeline);
}

std::string Subjects::Api(absl::string_view resource, absl::string_view verb) const {
  return absl::StrCat(root_, ".api.", resource, ".", verb);
}

std::string Subjects::Notice(absl::string_view kind) const {
  return absl::StrCat(root_, ".notice.", kind);
}

std::string Subjects::AnyNotice() const { return Notice("*"); }

std::string Subjects::Checkpoint(absl::string_view group, absl::string_view pipeline,
                                 uint32_t replica) const {
  return absl::StrCat(root_, ".checkpoint.", group, ".", absl::StrCat(pipeline, ".", replica));
}

std::string Subjects::Writer(absl::string_view pipeline, uint32_t replica, uint32_t replicas) {
  return replicas > 1 ? absl::StrCat(pipeline, "#", replica) : std::string(pipeline);
}

std::optional<std::string> Subjects::TokenAfter(absl::string_view kind,
                                                absl::string_view subject) const {
  if (!absl::ConsumePrefix(&subject, root_) || !absl::ConsumePrefix(&subject, ".") ||
      !absl::ConsumePrefix(&subject, kind) || !absl::ConsumePrefix(&subject, ".") ||
      !IsToken(subject)) {
    return std::nullopt;
  }
  return std::string(subject);
}

std::optional<Subjects::PipelineSubject> Subjects::ParsePipeline(absl::string_view subject) const {
  if (!absl::ConsumePrefix(&subject, root_) || !absl::ConsumePrefix(&subject, ".pipeline.")) {
    return std::nullopt;
  }
  const std::vector<absl::string_view> tokens = absl::StrSplit(subject, '.');
  if (tokens.size() != 3 || !std::all_of(tokens.begin(), tokens.end(), IsToken)) {
    return std::nullopt;
  }
  return PipelineSubject{std::string(tokens[0]), std::string(tokens[1]), std::string(tokens[2])};
}

std::string Subjects::Named(absl::string_view name) const {
  if (root_ == kDefaultSubjectPrefix) return std::string(name);
  // Names of buckets and streams have no dots. '-' escapes, so that different roots never share
  // one: "eu.prod" → "eu_prod", "eu_prod" → "eu-uprod", "eu-prod" → "eu--prod".
  return absl::StrCat(name, "_",
                      absl::StrReplaceAll(root_, {{".", "_"}, {"_", "-u"}, {"-", "--"}}));
}

std::string Subjects::StateBucket() const { return Named(kStateBucket); }

Subjects::Stream Subjects::CheckpointStream() const {
  return {Named(kCheckpointStream), absl::StrCat(root_, ".checkpoint")};
}

// No group's or pipeline's name holds a '='.
Subjects::Stream Subjects::InputStream(absl::string_view group, absl::string_view pipeline) const {
  return {absl::StrCat(Named(kInputStream), "=", group, "=", pipeline),
          AnyIntoPipeline(group, pipeline)};
}

Subjects::Stream Subjects::OutboxStream(absl::string_view group, absl::string_view pipeline,
                                        uint32_t replica) const {
  return {absl::StrCat(Named(kOutboxStream), "=", group, "=", pipeline, absl::StrCat("=", replica)),
          absl::StrCat(root_, ".outbox.", group, ".", absl::StrCat(pipeline, ".", replica))};
}

Subjects::Stream Subjects::ReplayStream() const {
  return {Named(kReplayStream), absl::StrCat(root_, ".replay.>")};
}

std::string Subjects::Replay(absl::string_view group, absl::string_view pipeline,
                             uint32_t replica) const {
  return absl::StrCat(root_, ".replay.", group, ".", absl::StrCat(pipeline, ".", replica));
}

Subjects::Stream Subjects::DeadLetterStream() const {
  return {Named(kDeadLetterStream), absl::StrCat(root_, ".dead_letter.>")};
}

std::string Subjects::DeadLetter(absl::string_view group, absl::string_view pipeline) const {
  return absl::StrCat(root_, ".dead_letter.", group, ".", pipeline);
}

std::string Subjects::LeaseBucket() const { return absl::StrCat(StateBucket(), "-LEASE"); }

absl::Status Subjects::ValidateCustomSubject(absl::string_view subject) const {
  const auto refuse = [](absl::string_view rule) {
    return absl::InvalidArgumentError(absl::StrCat("subject ", rule));
  };
  if (subject.empty() || subject.size() > kMaxSubjectBytes) {
    return refuse(absl::StrCat("must be 1 to ", kMaxSubjectBytes, " bytes long"));
  }
  if (!std::all_of(subject.begin(), subject.end(), absl::ascii_isgraph)) {
    return refuse("must be printable ASCII without blanks");
  }
  if (absl::StrContains(subject, '*') || absl::StrContains(subject, '>')) {
    return refuse("must not contain the wildcards * and >");
  }
  if (subject.front() == '$') return refuse("must not begin with $, which belongs to NATS");
  if (IsUnder(subject, "_INBOX")) return refuse("must not lie under _INBOX, which belongs to NATS");
  if (subject.front() == '.' || subject.back() == '.' || absl::StrContains(subject, "..")) {
    return refuse("must not have empty tokens");
  }
  if (IsUnder(subject, root_)) {
    return refuse(absl::StrCat("must not lie under ", root_, ", which belongs to the cluster"));
  }
  return absl::OkStatus();
}

absl::Status ValidateWorkerId(absl::string_view id) { return ValidateToken("worker id", id, 64); }

absl::Status ValidatePipelineName(absl::string_view name) {
  if (name == kExternal || name == kTick) {
    return absl::InvalidArgumentError(
        absl::StrCat("pipeline name must not be ", name, ", which stands for ",
                     name == kExternal ? "injected events" : "the passing of time"));
  }
  return ValidateToken("pipeline name", name, 128);
}

absl::Status ValidateGroupId(absl::string_view id) { return ValidateToken("group id", id, 64); }

absl::Status ValidatePipelineId(absl::string_view id) {
  return ValidateToken("pipeline id", id, 64);
}

absl::Status ValidateSubjectPrefix(absl::string_view prefix) {
  const std::vector<absl::string_view> tokens = absl::StrSplit(prefix, '.');
  if (prefix.size() > kMaxPrefixBytes || !std::all_of(tokens.begin(), tokens.end(), IsToken)) {
    return absl::InvalidArgumentError(
        absl::StrCat("subject prefix must be 1 to ", kMaxPrefixBytes,
                     " characters: tokens of A-Z a-z 0-9 _ - separated by single dots"));
  }
  if (tokens.front() == "_INBOX") {
    return absl::InvalidArgumentError(
        "subject prefix must not lie under _INBOX, which belongs to NATS");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SubjectOfMqttTopic(absl::string_view topic) {
  const auto refuse = [](absl::string_view rule) {
    return absl::InvalidArgumentError(absl::StrCat("MQTT topic ", rule));
  };
  if (topic.empty() || topic.size() > kMaxSubjectBytes) {
    return refuse(absl::StrCat("must be 1 to ", kMaxSubjectBytes, " bytes long"));
  }
  if (!std::all_of(topic.begin(), topic.end(), absl::ascii_isgraph)) {
    return refuse("must be printable ASCII without blanks");
  }
  if (topic.find_first_of("+#*>") != absl::string_view::npos) {
    return refuse("must not contain the wildcards + # * >");
  }
  if (absl::StrContains(topic, '.')) return refuse("must not contain a dot, which NATS cannot map");
  if (topic.front() == '$') return refuse("must not begin with $, which belongs to the broker");
  if (topic.front() == '/' || topic.back() == '/' || absl::StrContains(topic, "//")) {
    return refuse("must not have empty levels");
  }
  return absl::StrReplaceAll(topic, {{"/", "."}});
}

}  // namespace varpulis::transport
