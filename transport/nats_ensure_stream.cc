#include "transport/nats_ensure_stream.h"

#include <future>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "rapidjson/pointer.h"
#include "rapidjson/stringbuffer.h"
#include "rapidjson/writer.h"

#include "base/mutex.h"

namespace varpulis::transport {
namespace {

constexpr absl::Duration kGrowTimeout = absl::Seconds(10);
constexpr absl::Duration kGrowPoll = absl::Milliseconds(50);

using Answer = absl::StatusOr<std::shared_ptr<rapidjson::Document>>;

// Streams are ensured again and again; their configuration is worth one line.
bool FirstTime(const std::string& said) {
  static auto& mutex = *new Mutex();
  static auto& all = *new std::set<std::string>();
  MutexLock lock(mutex);
  return all.insert(said).second;
}

// The stream's configuration with so many replicas, or empty when it has them.
std::string WithReplicas(rapidjson::Document& info, int replicas) {
  const rapidjson::Value* has = rapidjson::Pointer("/config/num_replicas").Get(info);
  if (has == nullptr || !has->IsInt() || has->GetInt() >= replicas) return "";
  rapidjson::Pointer("/config/num_replicas").Set(info, replicas);
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  info["config"].Accept(writer);
  return text.GetString();
}

bool HasMost(const rapidjson::Document& info, int replicas) {
  const rapidjson::Value* leader = rapidjson::Pointer("/cluster/leader").Get(info);
  const rapidjson::Value* others = rapidjson::Pointer("/cluster/replicas").Get(info);
  if (leader == nullptr || !leader->IsString() || leader->GetStringLength() == 0) return false;
  if (others == nullptr || !others->IsArray()) return false;
  int current = 1;  // the leader
  for (const auto& other : others->GetArray()) {
    const rapidjson::Value* is_current = rapidjson::Pointer("/current").Get(other);
    if (is_current != nullptr && is_current->IsTrue()) ++current;
  }
  return current > replicas / 2;
}

void UseAsItIs(const JetStreamContext& context, const std::string& name, int replicas,
               ApiCallback done) {
  CallJetStream(context, absl::StrCat("STREAM.INFO.", name), "", [=](Answer info) {
    if (!info.ok()) return done(info.status());
    std::string grown = WithReplicas(**info, replicas);
    if (grown.empty()) {
      const std::string text =
          absl::StrCat("stream ", name, " exists with another configuration and is used as it is");
      if (FirstTime(text)) LOG(WARNING) << text;
      return done(std::move(info));
    }
    CallJetStream(
        context, absl::StrCat("STREAM.UPDATE.", name), std::move(grown), [=](Answer updated) {
          if (updated.ok()) {
            LOG(INFO) << "stream " << name << " gets " << replicas << " replicas";
            return done(std::move(updated));
          }
          // It serves; that it has fewer copies than it should is for the operator.
          const std::string text = absl::StrCat("stream ", name, " does not get ", replicas,
                                                " replicas: ", updated.status().message());
          if (FirstTime(text)) LOG(WARNING) << text;
          done(std::move(info));
        });
  });
}

}  // namespace

void WaitForReplicas(const JetStreamContext& context, const std::string& name, int replicas) {
  if (replicas <= 1) return;
  const absl::Time deadline = absl::Now() + kGrowTimeout;
  while (absl::Now() < deadline) {
    auto result = std::make_shared<std::promise<bool>>();
    CallJetStream(context, absl::StrCat("STREAM.INFO.", name), "",
                  [result, replicas](const Answer& info) {
                    result->set_value(info.ok() && HasMost(**info, replicas));
                  });
    if (result->get_future().get()) return;
    absl::SleepFor(kGrowPoll);
  }
}

void EnsureStream(const JetStreamContext& context, const std::string& name,
                  std::string configuration, int replicas, ApiCallback done) {
  CallJetStream(context, absl::StrCat("STREAM.CREATE.", name), std::move(configuration),
                [context, name, replicas, done = std::move(done)](Answer created) {
                  if (!absl::IsAlreadyExists(created.status())) return done(std::move(created));
                  UseAsItIs(context, name, replicas, done);
                });
}

}  // namespace varpulis::transport
