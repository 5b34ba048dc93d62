#include "transport/nats_event_streams.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "transport/nats_ensure_stream.h"
#include "transport/nats_ordered_reader.h"

namespace varpulis::transport {
namespace {

// A broker that has just started may leave a message unanswered. Those who store events know by
// ids or sequences whether it was stored all the same, and need not wait for long.
constexpr absl::Duration kStoreTimeout = absl::Seconds(2);

uint64_t Number(const rapidjson::Value& object, const char* name) {
  const auto member = object.FindMember(name);
  return member != object.MemberEnd() && member->value.IsUint64() ? member->value.GetUint64() : 0;
}

std::string ConfigurationOf(const EventStreamOptions& options) {
  const std::string max_bytes =
      options.max_bytes == 0 ? std::string("-1") : absl::StrCat(options.max_bytes);
  const int64_t max_age =
      options.max_age == absl::InfiniteDuration() ? 0 : absl::ToInt64Nanoseconds(options.max_age);
  int64_t window = absl::ToInt64Nanoseconds(options.duplicate_window);
  if (max_age > 0) window = std::min(window, max_age);
  const std::string republish = options.republish_to.empty()
                                    ? ""
                                    : absl::StrCat(R"(,"republish":{"src":")", options.subject,
                                                   R"(","dest":")", options.republish_to, R"("})");
  return absl::StrCat(R"({"name":")", options.name, R"(","subjects":[")", options.subject,
                      R"("],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":)",
                      max_bytes, R"(,"max_msgs_per_subject":)", options.newest_only ? 1 : -1,
                      R"(,"max_msg_size":-1,"max_age":)", max_age,
                      R"(,"storage":"file","discard":")", options.discard_oldest ? "old" : "new",
                      R"(","num_replicas":)", options.replicas, R"(,"duplicate_window":)", window,
                      republish, R"(,"allow_direct":true})");
}

absl::StatusOr<EventStreams::Range> RangeOf(const rapidjson::Document& stream) {
  const auto state = stream.FindMember("state");
  if (state == stream.MemberEnd() || !state->value.IsObject()) {
    return absl::InternalError("the broker's answer does not tell what the stream holds");
  }
  EventStreams::Range range{.first = Number(state->value, "first_seq"),
                            .last = Number(state->value, "last_seq")};
  if (Number(state->value, "messages") == 0) range.first = range.last + 1;
  return range;
}

class ReaderHandle : public Subscription {
 public:
  explicit ReaderHandle(std::unique_ptr<NatsOrderedReader> reader) : reader_(std::move(reader)) {}
  uint64_t dropped() const override { return 0; }

 private:
  const std::unique_ptr<NatsOrderedReader> reader_;
};

class NatsEventStreams : public EventStreams {
 public:
  explicit NatsEventStreams(JetStreamContext context) : context_(std::move(context)) {}

  void Ensure(EventStreamOptions options,
              std::function<void(absl::StatusOr<Range>)> done) override {
    EnsureStream(context_, options.name, ConfigurationOf(options), options.replicas,
                 [done = std::move(done)](
                     const absl::StatusOr<std::shared_ptr<rapidjson::Document>>& ensured) {
                   if (!ensured.ok()) return done(ensured.status());
                   done(RangeOf(**ensured));
                 });
  }

  void Delete(const std::string& stream, std::function<void(absl::Status)> done) override {
    CallJetStream(context_, absl::StrCat("STREAM.DELETE.", stream), "",
                  [done = std::move(done)](const auto& deleted) {
                    done(absl::IsNotFound(deleted.status()) ? absl::OkStatus() : deleted.status());
                  });
  }

  void Publish(OutgoingMessage message, std::function<void(absl::StatusOr<Stored>)> done) override {
    StoreInStream(context_, std::move(message), std::move(done), kStoreTimeout);
  }

  void Last(const std::string& stream, const std::string& subject,
            std::function<void(absl::StatusOr<LastMessage>)> done) override {
    ReadLastMessage(context_, stream, subject, std::move(done));
  }

  void Forget(const std::string& stream, const std::string& subject,
              std::function<void(absl::Status)> done) override {
    CallJetStream(context_, absl::StrCat("STREAM.PURGE.", stream),
                  absl::StrCat(R"({"filter":")", subject, R"("})"),
                  [done = std::move(done)](const auto& purged) {
                    done(absl::IsNotFound(purged.status()) ? absl::OkStatus() : purged.status());
                  });
  }

  void Trim(const std::string& stream, uint64_t first,
            std::function<void(absl::Status)> done) override {
    CallJetStream(context_, absl::StrCat("STREAM.PURGE.", stream),
                  absl::StrCat(R"({"seq":)", first, "}"),
                  [done = std::move(done)](const auto& purged) { done(purged.status()); });
  }

  std::unique_ptr<Subscription> Read(
      const EventStreamOptions& stream, uint64_t start_after,
      std::function<void(const StoredMessage&)> on_message) override {
    NatsOrderedReader::Options options{.stream = stream.name,
                                       .filter = stream.subject,
                                       .start_after = start_after,
                                       .flow_control = true};
    NatsOrderedReader::Callbacks callbacks{
        .on_message = std::move(on_message),
        .on_caught_up = {},
        .on_trouble = [name = stream.name](const absl::Status& status) {
          LOG_EVERY_N(WARNING, 50) << "waiting for " << name << ": " << status.message();
        }};
    return std::make_unique<ReaderHandle>(
        std::make_unique<NatsOrderedReader>(context_, std::move(options), std::move(callbacks)));
  }

 private:
  const JetStreamContext context_;
};

}  // namespace

std::unique_ptr<EventStreams> OpenNatsEventStreams(JetStreamContext context) {
  return std::make_unique<NatsEventStreams>(std::move(context));
}

}  // namespace varpulis::transport
