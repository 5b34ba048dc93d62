#include "coordinator/routing.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/partition_hash.h"
#include "coordinator/views.h"
#include "transport/error_reply.h"

namespace varpulis::coordinator {
namespace {

using varpulis::v1::RouteSpec;

// The route's own subject, if it has one. Validated before.
std::optional<std::string> CustomSubject(const RouteSpec& route) {
  if (route.has_nats_subject() && !route.nats_subject().empty()) return route.nats_subject();
  if (route.has_mqtt_topic() && !route.mqtt_topic().empty()) {
    absl::StatusOr<std::string> subject = transport::SubjectOfMqttTopic(route.mqtt_topic());
    if (subject.ok()) return *std::move(subject);
  }
  return std::nullopt;
}

std::string FloatText(double value) {
  char buffer[400];  // DBL_MAX has 309 digits
  const bool integral = std::isfinite(value) && value == std::trunc(value);
  if (value == 0) return "0";
  const std::to_chars_result end =
      integral ? std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed)
               : std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end.ptr);
}

const varpulis::v1::Value* FindField(const varpulis::v1::Event& event, const std::string& name) {
  for (const varpulis::v1::Field& field : event.fields()) {
    if (field.name() == name) return &field.value();
  }
  return nullptr;
}

}  // namespace

void AddRoutes(const transport::Subjects& subjects, const Group& group, const Pipeline& pipeline,
               varpulis::v1::DeployPipelineRequest& request) {
  for (const size_t index : pipeline.outbound) {
    const RouteSpec& route = group.routes[index];
    varpulis::v1::OutboundRoute& out = *request.add_routes();
    *out.mutable_event_types() = route.event_types();
    // Where outputs are stored each copy writes subjects of its own.
    const std::string from = group.delivery == varpulis::v1::DELIVERY_EXACTLY_ONCE
                                 ? transport::Subjects::Writer(
                                       route.from_pipeline(), request.replica(), request.replicas())
                                 : route.from_pipeline();
    out.set_subject(CustomSubject(route).value_or(
        subjects.Pipeline(group.id.str(), from, route.to_pipeline())));
  }
  for (const size_t index : pipeline.inbound) {
    std::optional<std::string> subject = CustomSubject(group.routes[index]);
    if (!subject.has_value()) continue;  // the worker hears {group}.*.{pipeline} anyway
    const auto& present = request.extra_input_subjects();
    if (std::find(present.begin(), present.end(), *subject) == present.end()) {
      request.add_extra_input_subjects(*std::move(subject));
    }
  }
}

RouteMatcher::RouteMatcher(const Group& group) : nodes_(1) {
  uint32_t order = 0;
  for (const RouteSpec& route : group.routes) {
    if (route.from_pipeline() != transport::kExternal) continue;
    const auto pipeline = group.by_name.find(route.to_pipeline());
    if (pipeline == group.by_name.end()) continue;
    for (const std::string& pattern : route.event_types())
      Add(pattern, {order++, pipeline->second});
  }
}

void RouteMatcher::Add(absl::string_view pattern, Hit hit) {
  if (!absl::ConsumeSuffix(&pattern, "*")) {
    exact_.try_emplace(std::string(pattern), hit);  // the first wins
    return;
  }
  uint32_t node = 0;
  for (const char c : pattern) {
    const auto [child, added] =
        nodes_[node].children.try_emplace(c, static_cast<uint32_t>(nodes_.size()));
    node = child->second;
    if (added) nodes_.emplace_back();
  }
  if (hit.order < nodes_[node].hit.order) nodes_[node].hit = hit;
}

std::optional<size_t> RouteMatcher::Match(absl::string_view event_type) const {
  Hit best = nodes_[0].hit;
  if (const auto exact = exact_.find(event_type);
      exact != exact_.end() && exact->second.order < best.order) {
    best = exact->second;
  }
  uint32_t node = 0;
  for (const char c : event_type) {
    const auto child = nodes_[node].children.find(c);
    if (child == nodes_[node].children.end()) break;
    node = child->second;
    if (nodes_[node].hit.order < best.order) best = nodes_[node].hit;
  }
  if (best.order == UINT32_MAX) return std::nullopt;
  return best.pipeline;
}

GroupRouting::GroupRouting(const Group& group, const GroupRouting* previous)
    : matcher_(previous != nullptr ? previous->matcher_ : std::make_shared<RouteMatcher>(group)),
      turns_(previous != nullptr
                 ? previous->turns_
                 : std::make_shared<std::vector<std::atomic<uint64_t>>>(group.pipelines.size())) {
  destinations_.reserve(group.pipelines.size());
  for (const Pipeline& pipeline : group.pipelines) {
    Destination destination{pipeline.spec.partition_key(), {}};
    for (size_t replica = 0; replica < pipeline.copies.size(); ++replica) {
      const Placement& copy = pipeline.copies[replica];
      const bool running = copy.status == varpulis::v1::PLACEMENT_STATUS_RUNNING;
      std::string error = copy.error;
      if (!running && copy.status == varpulis::v1::PLACEMENT_STATUS_DEPLOYING) {
        error = "it is being deployed";
      }
      destination.copies.push_back({CopyName(pipeline.spec, static_cast<uint32_t>(replica)),
                                    copy.worker, copy.pipeline_id, copy.epoch, running,
                                    std::move(error)});
    }
    destinations_.push_back(std::move(destination));
  }
}

absl::StatusOr<GroupRouting::Choice> GroupRouting::Choose(const varpulis::v1::Event& event,
                                                          bool strict,
                                                          absl::string_view event_id) const {
  const std::optional<size_t> match = matcher_->Match(event.event_type());
  if (!match.has_value() && (strict || destinations_.empty())) {
    return transport::MakeError("no_route",
                                absl::StrCat("no route takes events of type ", event.event_type()));
  }
  const size_t pipeline = match.value_or(0);
  const Destination& destination = destinations_[pipeline];
  const auto replicas = static_cast<uint32_t>(destination.copies.size());
  uint32_t replica = 0;
  if (replicas > 1 && !destination.partition_key.empty()) {
    const varpulis::v1::Value* value = FindField(event, destination.partition_key);
    replica = PartitionOf(value == nullptr ? "" : CanonicalText(*value), replicas);
  } else if (replicas > 1 && !event_id.empty()) {
    replica = PartitionOf(event_id, replicas);
  } else if (replicas > 1) {
    replica = static_cast<uint32_t>((*turns_)[pipeline].fetch_add(1) % replicas);
  }
  return Choice{destination.copies[replica], match.has_value()};
}

std::string CanonicalText(const varpulis::v1::Value& value) {
  using Kind = varpulis::v1::Value::KindCase;
  switch (value.kind_case()) {
    case Kind::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Kind::kIntValue:
      return absl::StrCat(value.int_value());
    case Kind::kFloatValue:
      return FloatText(value.float_value());
    case Kind::kStringValue:
      return value.string_value();
    case Kind::kTimestampNs:
      return absl::StrCat(value.timestamp_ns());
    case Kind::kDurationNs:
      return absl::StrCat(value.duration_ns());
    case Kind::kListValue:
    case Kind::kMapValue:
    case Kind::KIND_NOT_SET:
      return "";
  }
  return "";
}

void RoutingTable::Set(const GroupId& group, std::shared_ptr<const GroupRouting> routing) {
  MutexLock lock(mutex_);
  groups_[group] = std::move(routing);
}

void RoutingTable::Erase(const GroupId& group) {
  MutexLock lock(mutex_);
  groups_.erase(group);
}

void RoutingTable::Clear() {
  MutexLock lock(mutex_);
  groups_.clear();
}

std::shared_ptr<const GroupRouting> RoutingTable::Find(const GroupId& group) const {
  MutexLock lock(mutex_);
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second;
}

}  // namespace varpulis::coordinator
