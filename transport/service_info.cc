#include "transport/service_info.h"

#include "absl/strings/str_cat.h"

#include "transport/json_writer.h"
#include "transport/time_text.h"

namespace varpulis::transport {
namespace {

absl::string_view SubjectWord(DiscoveryVerb verb) {
  switch (verb) {
    case DiscoveryVerb::kPing:
      return "PING";
    case DiscoveryVerb::kInfo:
      return "INFO";
    case DiscoveryVerb::kStats:
      return "STATS";
  }
  return "";
}

absl::string_view ResponseType(DiscoveryVerb verb) {
  switch (verb) {
    case DiscoveryVerb::kPing:
      return "io.nats.micro.v1.ping_response";
    case DiscoveryVerb::kInfo:
      return "io.nats.micro.v1.info_response";
    case DiscoveryVerb::kStats:
      return "io.nats.micro.v1.stats_response";
  }
  return "";
}

void WriteString(JsonWriter& json, absl::string_view key, absl::string_view value) {
  json.Key(key);
  json.String(value);
}

void WriteMetadata(JsonWriter& json, const Headers& metadata) {
  json.Key("metadata");
  json.BeginObject();
  for (const auto& [key, value] : metadata) WriteString(json, key, value);
  json.EndObject();
}

void WriteStats(JsonWriter& json, const EndpointReport& endpoint) {
  const int64_t nanos = absl::ToInt64Nanoseconds(endpoint.processing_time);
  json.Key("num_requests");
  json.Uint(endpoint.num_requests);
  json.Key("num_errors");
  json.Uint(endpoint.num_errors);
  WriteString(json, "last_error", endpoint.last_error);
  json.Key("processing_time");
  json.Int(nanos);
  json.Key("average_processing_time");
  json.Int(endpoint.num_requests == 0 ? 0 : nanos / static_cast<int64_t>(endpoint.num_requests));
}

}  // namespace

std::vector<std::string> DiscoverySubjects(DiscoveryVerb verb, const ServiceIdentity& identity) {
  const std::string all = absl::StrCat("$SRV.", SubjectWord(verb));
  const std::string named = absl::StrCat(all, ".", identity.name);
  return {all, named, absl::StrCat(named, ".", identity.id)};
}

std::string DiscoveryResponse(DiscoveryVerb verb, const ServiceIdentity& identity,
                              const std::vector<EndpointReport>& endpoints) {
  JsonWriter json;
  json.BeginObject();
  WriteString(json, "name", identity.name);
  WriteString(json, "id", identity.id);
  WriteString(json, "version", identity.version);
  WriteMetadata(json, identity.metadata);
  WriteString(json, "type", ResponseType(verb));
  if (verb == DiscoveryVerb::kInfo) WriteString(json, "description", identity.description);
  if (verb == DiscoveryVerb::kStats) {
    WriteString(json, "started", FormatTimestamp(absl::ToUnixNanos(identity.started)));
  }
  if (verb != DiscoveryVerb::kPing) {
    json.Key("endpoints");
    json.BeginArray();
    for (const EndpointReport& endpoint : endpoints) {
      json.BeginObject();
      WriteString(json, "name", endpoint.name);
      WriteString(json, "subject", endpoint.subject);
      WriteString(json, "queue_group", endpoint.queue_group);
      if (verb == DiscoveryVerb::kInfo) WriteMetadata(json, {});
      if (verb == DiscoveryVerb::kStats) WriteStats(json, endpoint);
      json.EndObject();
    }
    json.EndArray();
  }
  json.EndObject();
  return json.Take();
}

}  // namespace varpulis::transport
