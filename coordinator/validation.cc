#include "coordinator/validation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "transport/error_reply.h"
#include "transport/subjects.h"

namespace varpulis::coordinator {
namespace {

using varpulis::v1::DeployGroupRequest;
using varpulis::v1::ErrorDetail;
using varpulis::v1::PipelineSpec;
using varpulis::v1::RouteSpec;

// Collects what is wrong.
class Problems {
 public:
  ErrorDetail* Add(std::string path, absl::string_view message) {
    ++count_;
    if (reply_.details_size() >= static_cast<int>(kMaxDetails)) return nullptr;
    ErrorDetail* detail = reply_.add_details();
    detail->set_path(std::move(path));
    detail->set_message(std::string(message));
    return detail;
  }
  void AddIf(std::string path, const absl::Status& status) {
    if (!status.ok()) Add(std::move(path), status.message());
  }
  bool empty() const { return count_ == 0; }

  absl::Status ToStatus() const {
    if (count_ == 0) return absl::OkStatus();
    const ErrorDetail& first = reply_.details(0);
    const std::string place =
        first.has_line() ? absl::StrCat(first.path(), ":", first.line(), ":", first.column())
                         : first.path();
    return transport::MakeError(
        "invalid_request",
        absl::StrCat(place, ": ", first.message(),
                     count_ > 1 ? absl::StrCat(" (and ", count_ - 1, " more)") : ""),
        reply_);
  }

 private:
  varpulis::v1::ErrorReply reply_;
  size_t count_ = 0;
};

absl::Status ValidateGroupName(absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("must not be empty");
  if (name.size() > kMaxGroupNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("is longer than ", kMaxGroupNameBytes, " bytes"));
  }
  if (std::any_of(name.begin(), name.end(), [](char c) { return absl::ascii_iscntrl(c); })) {
    return absl::InvalidArgumentError("must be printable");
  }
  return absl::OkStatus();
}

void CheckPipelines(const DeployGroupRequest& request, const SourceCheck& check_source,
                    Problems& problems) {
  std::map<std::string, int> first_use;
  for (int i = 0; i < request.pipelines_size(); ++i) {
    const PipelineSpec& spec = request.pipelines(i);
    const std::string path = absl::StrCat("pipelines[", i, "]");
    problems.AddIf(absl::StrCat(path, ".name"), transport::ValidatePipelineName(spec.name()));
    const auto [first, added] = first_use.emplace(spec.name(), i);
    if (!added) {
      problems.Add(absl::StrCat(path, ".name"),
                   absl::StrCat("\"", spec.name(), "\" is already the name of pipelines[",
                                first->second, "]"));
    }
    if (spec.replicas() > kMaxReplicas) {
      problems.Add(absl::StrCat(path, ".replicas"), absl::StrCat("must be at most ", kMaxReplicas));
    }
    if (spec.has_worker_affinity()) {
      problems.AddIf(absl::StrCat(path, ".worker_affinity"),
                     transport::ValidateWorkerId(spec.worker_affinity()));
    }
    if (spec.has_partition_key() && spec.partition_key().empty()) {
      problems.Add(absl::StrCat(path, ".partition_key"), "must not be empty");
    }
    if (!check_source) continue;
    for (const SourceProblem& problem : check_source(spec.source())) {
      ErrorDetail* detail = problems.Add(absl::StrCat(path, ".source"), problem.message);
      if (detail == nullptr) continue;
      detail->set_line(problem.line);
      detail->set_column(problem.column);
      if (!problem.hint.empty()) detail->set_hint(problem.hint);
    }
  }
}

void CheckRoute(const RouteSpec& route, const std::string& path, const std::set<std::string>& names,
                const transport::Subjects& subjects, Problems& problems) {
  if (!names.contains(route.to_pipeline())) {
    problems.Add(absl::StrCat(path, ".to_pipeline"),
                 absl::StrCat("no pipeline \"", route.to_pipeline(), "\" in this group"));
  }
  if (route.from_pipeline() != transport::kExternal && !names.contains(route.from_pipeline())) {
    problems.Add(
        absl::StrCat(path, ".from_pipeline"),
        absl::StrCat("no pipeline \"", route.from_pipeline(),
                     "\" in this group (events from outside: \"", transport::kExternal, "\")"));
  } else if (route.from_pipeline() == route.to_pipeline()) {
    problems.Add(absl::StrCat(path, ".to_pipeline"), "a pipeline cannot feed itself");
  }
  if (route.event_types().empty()) {
    problems.Add(absl::StrCat(path, ".event_types"), "must not be empty");
  }
  for (int i = 0; i < route.event_types_size(); ++i) {
    if (route.event_types(i).empty()) {
      problems.Add(absl::StrCat(path, ".event_types[", i, "]"),
                   "an empty pattern matches nothing useful; \"*\" matches every type");
    }
  }
  if (route.has_mqtt_topic() && route.has_nats_subject()) {
    problems.Add(absl::StrCat(path, ".nats_subject"),
                 "a route has either an mqtt_topic or a nats_subject");
  } else if (route.has_mqtt_topic()) {
    const absl::StatusOr<std::string> subject = transport::SubjectOfMqttTopic(route.mqtt_topic());
    problems.AddIf(absl::StrCat(path, ".mqtt_topic"),
                   subject.ok() ? subjects.ValidateCustomSubject(*subject) : subject.status());
  } else if (route.has_nats_subject()) {
    problems.AddIf(absl::StrCat(path, ".nats_subject"),
                   subjects.ValidateCustomSubject(route.nats_subject()));
  }
}

// A pipeline's stored input is one stream, of its own subjects.
void CheckDelivery(varpulis::v1::Delivery delivery, const RouteSpec& route, const std::string& path,
                   Problems& problems) {
  if (delivery != varpulis::v1::DELIVERY_EXACTLY_ONCE) return;
  const bool topic = route.has_mqtt_topic();
  if (!topic && !route.has_nats_subject()) return;
  problems.Add(
      absl::StrCat(path, topic ? ".mqtt_topic" : ".nats_subject"),
      absl::StrCat("a group with delivery exactly_once cannot have it: publish to ",
                   "{prefix}.pipeline.{group}._external.", route.to_pipeline(), " instead"));
}

absl::Status BadAddress(absl::string_view address, absl::string_view why) {
  return transport::MakeError("invalid_request", absl::StrCat("address \"", address, "\" ", why));
}

}  // namespace

absl::Status ValidateWorkerAddress(absl::string_view address) {
  absl::string_view rest = address;
  if (!absl::ConsumePrefix(&rest, "http://") && !absl::ConsumePrefix(&rest, "https://")) {
    return BadAddress(address, "must begin with http:// or https://");
  }
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (absl::StrContains(rest, "@")) return BadAddress(address, "must not carry credentials");
  absl::string_view host = rest;
  absl::string_view port;
  if (absl::ConsumePrefix(&host, "[")) {
    const size_t end = host.find(']');
    if (end == absl::string_view::npos) return BadAddress(address, "has an unclosed [");
    port = host.substr(end + 1);
    host = host.substr(0, end);
  } else {
    const size_t colon = host.find(':');
    if (colon != absl::string_view::npos && host.find(':', colon + 1) == absl::string_view::npos) {
      port = host.substr(colon);
      host = host.substr(0, colon);
    }
  }
  if (host.empty()) return BadAddress(address, "has no host");
  if (host == "0.0.0.0" || host == "::" || host == "0:0:0:0:0:0:0:0") {
    return BadAddress(address, "is not one that others can reach");
  }
  if (std::any_of(host.begin(), host.end(),
                  [](char c) { return absl::ascii_isspace(c) || absl::ascii_iscntrl(c); })) {
    return BadAddress(address, "has a blank in its host");
  }
  uint32_t number = 0;
  if (!port.empty() && (!absl::ConsumePrefix(&port, ":") || !absl::SimpleAtoi(port, &number) ||
                        number == 0 || number > 65535)) {
    return BadAddress(address, "has a bad port");
  }
  return absl::OkStatus();
}

absl::Status ValidateRegistration(const varpulis::v1::RegisterWorkerRequest& request) {
  if (const absl::Status id = transport::ValidateWorkerId(request.worker_id()); !id.ok()) {
    return transport::MakeError("invalid_request", absl::StrCat("worker_id: ", id.message()));
  }
  return ValidateWorkerAddress(request.address());
}

absl::Status ValidateDeploy(const DeployGroupRequest& request, const Policy& policy,
                            const SourceCheck& check_source) {
  Problems problems;
  problems.AddIf("name", ValidateGroupName(request.name()));
  if (request.pipelines().empty()) {
    problems.Add("pipelines", "must not be empty");
  } else if (request.pipelines_size() > static_cast<int>(policy.max_pipelines_per_group)) {
    problems.Add("pipelines",
                 absl::StrCat("has ", request.pipelines_size(), " pipelines, the limit is ",
                              policy.max_pipelines_per_group));
    return problems.ToStatus();  // not worth compiling
  }
  CheckPipelines(request, check_source, problems);
  std::set<std::string> names;
  for (const PipelineSpec& spec : request.pipelines()) names.insert(spec.name());
  for (int i = 0; i < request.routes_size(); ++i) {
    const std::string path = absl::StrCat("routes[", i, "]");
    CheckRoute(request.routes(i), path, names, policy.subjects, problems);
    CheckDelivery(request.delivery(), request.routes(i), path, problems);
  }
  return problems.ToStatus();
}

}  // namespace varpulis::coordinator
