#include "test/faults/site.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rapidjson/document.h"
#include "rapidjson/pointer.h"
#include "rapidjson/stringbuffer.h"
#include "rapidjson/writer.h"

#include "base/status_macros.h"
#include "test/support/nats_cluster.h"

namespace varpulis::faults {
namespace {

using testing::HttpReply;
using testing::Node;
using testing::WaitUntil;

constexpr absl::Duration kDeadline = absl::Seconds(30);

std::string Unquoted(const std::string& json) {
  return json.size() >= 2 && json.front() == '"' ? json.substr(1, json.size() - 2) : json;
}

absl::Status Unavailable(const std::string& what, const Node* node) {
  return absl::UnavailableError(
      absl::StrCat(what, node == nullptr ? "" : absl::StrCat("; its log:\n", node->Log())));
}

}  // namespace

Site::Site(SiteOptions options) : options_(std::move(options)) {}

Site::~Site() {
  bus_.reset();
  // A stopped process does not die of SIGTERM; the others need no notice.
  for (Node* node : workers_) {
    if (node != nullptr && node->pid() > 0) cluster_.Kill(*node);
  }
}

absl::Status Site::Start() {
  RETURN_IF_ERROR(StartBrokers());
  transport::NatsOptions options;
  options.urls.clear();
  for (const auto& broker : brokers_) options.urls.push_back(broker->url());
  options.name = "fault-runner";
  auto bus = transport::NatsConnection::Connect(std::move(options));
  if (!bus.ok()) return bus.status();
  bus_ = *std::move(bus);
  if (brokers() > 1 &&
      !WaitUntil([this] { return absl::StrContains(JetStream("STREAM.NAMES"), "\"streams\""); },
                 kDeadline)) {
    return absl::UnavailableError("the brokers' JetStream finds no leader");
  }
  for (int i = 0; i < options_.coordinators; ++i) {
    RETURN_IF_ERROR(StartCoordinator(absl::StrCat("c", i)));
  }
  gateway_ =
      cluster_.StartNode("gateway", {"gateway", "--port=0", "--api-key=admin", "--nats=" + Urls()},
                         {}, /*add_broker=*/false);
  if (gateway_ == nullptr || cluster_.WaitForPort(*gateway_, " ready: http://") == 0) {
    return Unavailable("no gateway", gateway_);
  }
  if (options_.separate_network) {
    auto network = NetworkNamespace::Create();
    if (!network.ok()) return network.status();
    network_ = *std::move(network);
  }
  workers_.resize(options_.workers);
  for (int i = 0; i < options_.workers; ++i) RETURN_IF_ERROR(StartWorker(i));
  if (!WaitForReadyWorkers()) return absl::UnavailableError("the workers do not become ready");
  return absl::OkStatus();
}

// ---------------------------------------------------------------- brokers

absl::Status Site::StartBrokers() {
  if (options_.disk_bytes > 0) RETURN_IF_ERROR(disk_.Mount(disk_folder(), options_.disk_bytes));
  if (options_.brokers > 1) {
    ASSIGN_OR_RETURN(brokers_, testing::StartBrokerCluster(options_.brokers, folder()));
    return absl::OkStatus();
  }
  transport::BrokerOptions broker;
  if (options_.separate_network) broker.host = "0.0.0.0";
  if (options_.store_bytes > 0) {
    broker.jetstream = false;  // not its own line, but:
    broker.extra_config.push_back(
        absl::StrCat("jetstream { store_dir: \"", disk_folder(),
                     "/jetstream\", max_file_store: ", options_.store_bytes, " }"));
  }
  broker.store_dir = disk_folder();
  broker.log_file = folder() + "/nats-server.log";
  auto started = transport::BrokerProcess::Start(std::move(broker));
  if (!started.ok()) return started.status();
  brokers_.push_back(*std::move(started));
  return absl::OkStatus();
}

std::string Site::Urls(const std::string& host) const {
  return absl::StrJoin(brokers_, ",", [&](std::string* out, const auto& broker) {
    absl::StrAppend(out, "nats://", host, ":", broker->port());
  });
}

std::string Site::JetStream(const std::string& verb, const std::string& json) {
  testing::Result<std::string> answered;
  bus_->Request({.subject = "$JS.API." + verb, .payload = json}, absl::Seconds(2),
                [callback = answered.Callback()](const auto& reply) {
                  callback(reply.ok() ? std::string(reply->payload()) : "");
                });
  return answered.Get();
}

int Site::LeaderOfStream(const std::string& stream) {
  rapidjson::Document info;
  info.Parse(JetStream("STREAM.INFO." + stream).c_str());
  const rapidjson::Value* leader = rapidjson::Pointer("/cluster/leader").Get(info);
  int index = -1;
  if (leader == nullptr || !leader->IsString() ||
      !absl::SimpleAtoi(absl::string_view(leader->GetString()).substr(1), &index)) {
    return -1;
  }
  return index;
}

std::vector<std::string> Site::Streams() {
  rapidjson::Document answer;
  answer.Parse(JetStream("STREAM.NAMES").c_str());
  std::vector<std::string> names;
  const rapidjson::Value* streams = rapidjson::Pointer("/streams").Get(answer);
  if (streams == nullptr || !streams->IsArray()) return names;
  for (const auto& name : streams->GetArray()) names.emplace_back(name.GetString());
  return names;
}

absl::Status Site::Reconfigure(const std::string& stream, const std::string& name, int value) {
  rapidjson::Document info;
  info.Parse(JetStream("STREAM.INFO." + stream).c_str());
  rapidjson::Value* config = rapidjson::Pointer("/config").Get(info);
  if (config == nullptr) return absl::UnavailableError("no configuration of " + stream);
  rapidjson::Pointer(("/" + name).c_str()).Set(*config, value, info.GetAllocator());
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  config->Accept(writer);
  const std::string updated = JetStream("STREAM.UPDATE." + stream, text.GetString());
  if (!absl::StrContains(updated, "\"config\"")) return absl::InternalError(updated);
  return absl::OkStatus();
}

bool Site::Replicated(const std::string& stream) {
  rapidjson::Document info;
  info.Parse(JetStream("STREAM.INFO." + stream).c_str());
  const rapidjson::Value* others = rapidjson::Pointer("/cluster/replicas").Get(info);
  if (others == nullptr || !others->IsArray() ||
      static_cast<int>(others->Size()) != brokers() - 1) {
    return false;
  }
  return absl::c_all_of(others->GetArray(), [](const rapidjson::Value& other) {
    const auto current = other.FindMember("current");
    return current != other.MemberEnd() && current->value.IsTrue();
  });
}

absl::Status Site::WaitForReplicas() {
  for (const std::string& stream : Streams()) {
    if (!WaitUntil([&] { return Replicated(stream); }, kDeadline)) {
      return absl::UnavailableError(stream + " does not get its replicas");
    }
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------- our processes

absl::Status Site::StartCoordinator(const std::string& id) {
  std::vector<std::string> args = {"coordinator", "--port=0", "--api-key=admin",
                                   "--coordinator-id=" + id, "--nats=" + Urls()};
  if (brokers() > 1) args.push_back(absl::StrCat("--nats-replicas=", brokers()));
  if (options_.impatient) {
    args.insert(args.end(), {"--heartbeat-interval=1", "--heartbeat-timeout=2"});
  }
  Node* node = cluster_.StartNode(id, std::move(args), {}, /*add_broker=*/false);
  if (node == nullptr || cluster_.WaitForPort(*node, " ready: http://") == 0) {
    return Unavailable(absl::StrCat("no coordinator ", id), node);
  }
  coordinators_[id] = node;
  return absl::OkStatus();
}

absl::Status Site::StartWorker(int index) {
  const std::string id = absl::StrCat("worker-", index);
  const bool apart = network_ != nullptr && index == 0;
  std::vector<std::string> args = {
      "server", "--port=0", "--worker-id=" + id,
      "--nats=" + Urls(apart ? network_->host_address() : "127.0.0.1")};
  args.insert(args.end(), options_.worker_flags.begin(), options_.worker_flags.end());
  if (apart) RETURN_IF_ERROR(network_->Enter());
  Node* node = cluster_.StartNode(id, std::move(args), {}, /*add_broker=*/false);
  if (apart) RETURN_IF_ERROR(network_->Leave());
  if (node == nullptr || cluster_.WaitForPort(*node, " listening on http://") == 0) {
    return Unavailable(absl::StrCat("no worker ", id), node);
  }
  workers_[index] = node;
  return absl::OkStatus();
}

HttpReply Site::Ask(const std::string& method, const std::string& path, const std::string& body) {
  return cluster_.Send(*gateway_, {.method = method,
                                   .path = "/api/v1/cluster" + path,
                                   .body = body,
                                   .headers = {{"x-api-key", "admin"}}});
}

bool Site::WaitForReadyWorkers(absl::Duration deadline) {
  return WaitUntil(
      [this] {
        const HttpReply reply = Ask("GET", "/workers");
        int ready = 0;
        for (size_t at = 0; (at = reply.body.find(R"("status":"ready")", at)) != std::string::npos;
             ++at) {
          ++ready;
        }
        return ready == options_.workers;
      },
      deadline);
}

absl::StatusOr<std::string> Site::Deploy(const std::string& specification) {
  const HttpReply reply = Ask("POST", "/pipeline-groups", specification);
  if (reply.status != 201) return absl::InternalError(absl::StrCat("deploy: ", reply.body));
  std::string id = Unquoted(reply.At("/id"));
  if (!WaitUntil(
          [&] { return Ask("GET", "/pipeline-groups/" + id).At("/status") == "\"running\""; },
          kDeadline)) {
    return absl::UnavailableError(
        absl::StrCat("the group does not run: ", Ask("GET", "/pipeline-groups/" + id).body));
  }
  return id;
}

std::string Site::WorkerOf(const std::string& group, const std::string& pipeline) {
  const rapidjson::Document json = Ask("GET", "/pipeline-groups/" + group).Json();
  const rapidjson::Value* placements = rapidjson::Pointer("/placements").Get(json);
  if (placements == nullptr || !placements->IsArray()) return "";
  for (const auto& placement : placements->GetArray()) {
    const auto name = placement.FindMember("pipeline_name");
    const auto worker = placement.FindMember("worker_id");
    if (name != placement.MemberEnd() && worker != placement.MemberEnd() &&
        name->value.GetString() == pipeline) {
      return worker->value.GetString();
    }
  }
  return "";
}

std::string Site::LeaderId() {
  testing::Result<std::string> found;
  bus_->Request({.subject = "$SRV.INFO.varpulis-coordinator"}, absl::Seconds(1),
                [callback = found.Callback()](const auto& reply) {
                  rapidjson::Document info;
                  if (reply.ok()) info.Parse(std::string(reply->payload()).c_str());
                  const rapidjson::Value* id =
                      info.HasParseError()
                          ? nullptr
                          : rapidjson::Pointer("/metadata/coordinator_id").Get(info);
                  callback(id != nullptr && id->IsString() ? id->GetString() : "");
                });
  return found.Get();
}

std::string Site::WaitForLeader(const std::string& not_this) {
  std::string id;
  const bool found = WaitUntil(
      [&] {
        id = LeaderId();
        return !id.empty() && id != not_this;
      },
      kDeadline);
  return found ? id : "";
}

}  // namespace varpulis::faults
