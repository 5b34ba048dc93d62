#include "transport/nats_ordered_reader.h"

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"
#include "base/strand.h"
#include "glog/logging.h"

namespace varpulis::transport {
namespace {

constexpr absl::Duration kHeartbeat = absl::Seconds(1);
constexpr absl::Duration kSilence = absl::Seconds(3);
constexpr absl::Duration kRetry = absl::Milliseconds(100);

// What is in "$JS.ACK.{stream}.{consumer}.{deliveries}.{stream seq}.{consumer
// seq}.{time}.{pending}", or the same with domain and account in front.
struct Delivery {
  uint64_t stream_sequence = 0;
  uint64_t consumer_sequence = 0;
  int64_t stored_at_ns = 0;
  uint64_t pending = 0;
};

bool ParseDelivery(absl::string_view reply, Delivery* delivery) {
  const std::vector<absl::string_view> tokens = absl::StrSplit(reply, '.');
  const size_t shift = tokens.size() == 9 ? 0 : 2;
  return tokens.size() >= 9 + shift && tokens[0] == "$JS" &&
         absl::SimpleAtoi(tokens[5 + shift], &delivery->stream_sequence) &&
         absl::SimpleAtoi(tokens[6 + shift], &delivery->consumer_sequence) &&
         absl::SimpleAtoi(tokens[7 + shift], &delivery->stored_at_ns) &&
         absl::SimpleAtoi(tokens[8 + shift], &delivery->pending);
}

uint64_t Number(const rapidjson::Document& document, const char* name) {
  const auto member = document.FindMember(name);
  return member != document.MemberEnd() && member->value.IsUint64() ? member->value.GetUint64() : 0;
}

std::string Text(const rapidjson::Document& document, const char* name) {
  const auto member = document.FindMember(name);
  return member != document.MemberEnd() && member->value.IsString() ? member->value.GetString()
                                                                    : "";
}

}  // namespace

// Lives on its strand. What arrives from outside holds it weakly and posts.
class NatsOrderedReader::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(JetStreamContext context, Options options, Callbacks callbacks)
      : context_(std::move(context)),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        last_sequence_(options_.start_after) {}

  // Posts `task`, which runs unless the reader has quit or, with `attempt`, tried anew since.
  void Post(std::function<void()> task) {
    strand_.Post([this, task = std::move(task)] {
      if (!quit_) task();
    });
  }
  void After(absl::Duration delay, std::function<void()> task) {
    strand_.After(delay, [this, task = std::move(task)] {
      if (!quit_) task();
    });
  }
  void PostFor(uint64_t attempt, std::function<void()> task) {
    Post([this, attempt, task = std::move(task)] {
      if (attempt == attempt_) task();
    });
  }

  void Begin() {
    Post([this] { Connect(); });
    Watch();
  }
  void ConnectionRestored() {
    Post([this] { Connect(); });
  }
  void Quit() {
    quit_ = true;
    strand_.Post([this] { subscription_.reset(); });
  }
  void Join() {
    Quit();
    strand_.Stop();
  }

 private:
  void Connect();
  void CreateConsumer(const rapidjson::Document& stream);
  void Created(const rapidjson::Document& consumer);
  void Failed(const absl::Status& status);
  void Receive(const InboundMessage& message);
  void ReceiveStatus(const InboundMessage& message);
  void CaughtUp();
  void Watch();
  ApiCallback Continue(void (Core::*next)(const rapidjson::Document&));

  const JetStreamContext context_;
  const Options options_;
  const Callbacks callbacks_;
  std::atomic<bool> quit_{false};

  uint64_t attempt_ = 0;
  std::string stream_created_;  // tells a stream from its successor of the same name
  bool connected_before_ = false;
  uint64_t last_sequence_;          // delivered, or not wanted
  uint64_t consumer_sequence_ = 0;  // of this attempt
  bool caught_up_ = false;
  std::chrono::steady_clock::time_point last_sign_of_life_;
  std::string inbox_;
  std::unique_ptr<Subscription> subscription_;

  Strand strand_{"js-reader"};  // last: joined first
};

ApiCallback NatsOrderedReader::Core::Continue(void (Core::*next)(const rapidjson::Document&)) {
  return [weak = weak_from_this(), attempt = attempt_,
          next](absl::StatusOr<std::shared_ptr<rapidjson::Document>> reply) {
    const std::shared_ptr<Core> core = weak.lock();
    if (core == nullptr) return;
    core->PostFor(attempt, [raw = core.get(), next, reply = std::move(reply)] {
      if (!reply.ok()) return raw->Failed(reply.status());
      (raw->*next)(**reply);
    });
  };
}

void NatsOrderedReader::Core::Connect() {
  ++attempt_;
  consumer_sequence_ = 0;
  last_sign_of_life_ = std::chrono::steady_clock::now();
  subscription_.reset();
  CallJetStream(context_, absl::StrCat("STREAM.INFO.", options_.stream), "",
                Continue(&Core::CreateConsumer));
}

void NatsOrderedReader::Core::CreateConsumer(const rapidjson::Document& stream) {
  const std::string created = Text(stream, "created");
  if (created != std::exchange(stream_created_, created) && connected_before_) last_sequence_ = 0;
  if (options_.start_over) last_sequence_ = options_.start_after;
  connected_before_ = true;
  if (callbacks_.on_start) callbacks_.on_start(created);
  if (quit_) return;
  inbox_ = absl::StrCat(context_.inbox_prefix, ".", NewUuid());
  SubscribeOptions options;
  options.subject = inbox_;
  auto subscription = context_.bus->Subscribe(
      options, [weak = weak_from_this(), attempt = attempt_](InboundMessage message) {
        const std::shared_ptr<Core> core = weak.lock();
        if (core == nullptr) return;
        core->PostFor(attempt, [raw = core.get(),
                                shared = std::make_shared<InboundMessage>(std::move(message))] {
          raw->Receive(*shared);
        });
      });
  if (!subscription.ok()) return Failed(subscription.status());
  subscription_ = *std::move(subscription);
  const std::string start =
      last_sequence_ == 0 ? std::string(R"("deliver_policy":"all")")
                          : absl::StrCat(R"("deliver_policy":"by_start_sequence","opt_start_seq":)",
                                         last_sequence_ + 1);
  CallJetStream(
      context_, absl::StrCat("CONSUMER.CREATE.", options_.stream),
      absl::StrCat(R"({"stream_name":")", options_.stream, R"(","config":{"deliver_subject":")",
                   inbox_, R"(","filter_subject":")", options_.filter, R"(",)", start,
                   R"(,"ack_policy":"none","max_deliver":1,"replay_policy":"instant",)",
                   R"("num_replicas":1,"mem_storage":true,"inactive_threshold":30000000000,)",
                   options_.flow_control ? R"("flow_control":true,)" : "", R"("idle_heartbeat":)",
                   absl::ToInt64Nanoseconds(kHeartbeat), "}}"),
      Continue(&Core::Created));
}

void NatsOrderedReader::Core::Created(const rapidjson::Document& consumer) {
  if (Number(consumer, "num_pending") == 0 && consumer_sequence_ == 0) {
    const auto delivered = consumer.FindMember("delivered");
    const bool none = delivered == consumer.MemberEnd() || !delivered->value.IsObject() ||
                      !delivered->value.HasMember("consumer_seq") ||
                      delivered->value["consumer_seq"].GetUint64() == 0;
    if (none) CaughtUp();
  }
}

void NatsOrderedReader::Core::Failed(const absl::Status& status) {
  if (callbacks_.on_trouble) callbacks_.on_trouble(status);
  subscription_.reset();
  const auto again = [this, attempt = attempt_] {
    strand_.After(kRetry, [this, attempt] {
      if (!quit_ && attempt == attempt_) Connect();
    });
  };
  if (!absl::IsNotFound(status) || !options_.ensure) return again();
  // What lies in memory does not survive its broker.
  options_.ensure([weak = weak_from_this(), attempt = attempt_, again](const absl::Status&) {
    const std::shared_ptr<Core> core = weak.lock();
    if (core != nullptr) core->PostFor(attempt, again);
  });
}

void NatsOrderedReader::Core::Receive(const InboundMessage& message) {
  Delivery delivery;
  if (!ParseDelivery(message.reply_to(), &delivery)) return ReceiveStatus(message);
  if (delivery.consumer_sequence != consumer_sequence_ + 1) return Connect();
  consumer_sequence_ = delivery.consumer_sequence;
  if (delivery.stream_sequence > last_sequence_) {
    last_sequence_ = delivery.stream_sequence;
    callbacks_.on_message({message, delivery.stream_sequence, delivery.stored_at_ns});
    if (quit_) return;
  }
  last_sign_of_life_ = std::chrono::steady_clock::now();
  if (delivery.pending == 0) CaughtUp();
}

// A heartbeat, which says how far the consumer is, or a question whether we have come this far.
void NatsOrderedReader::Core::ReceiveStatus(const InboundMessage& message) {
  last_sign_of_life_ = std::chrono::steady_clock::now();
  std::string answer_to(message.reply_to());
  if (answer_to.empty()) answer_to = message.Header("Nats-Consumer-Stalled").value_or("");
  if (!answer_to.empty()) {
    // Lost with the connection at worst: then the consumer is created again.
    (void)context_.bus->Publish(
        {.subject = std::move(answer_to), .payload = {}, .headers = {}, .reply_to = ""});
  }
  uint64_t sent = 0;
  const std::optional<std::string> last = message.Header("Nats-Last-Consumer");
  if (last.has_value() && absl::SimpleAtoi(*last, &sent) && sent != consumer_sequence_) Connect();
}

void NatsOrderedReader::Core::CaughtUp() {
  if (caught_up_) return;
  caught_up_ = true;
  if (callbacks_.on_caught_up) callbacks_.on_caught_up();
}

void NatsOrderedReader::Core::Watch() {
  strand_.After(kHeartbeat, [this] {
    if (quit_) return;
    const auto silent = std::chrono::steady_clock::now() - last_sign_of_life_;
    if (silent > absl::ToChronoNanoseconds(kSilence)) Connect();
    Watch();
  });
}

NatsOrderedReader::NatsOrderedReader(JetStreamContext context, Options options, Callbacks callbacks)
    : core_(std::make_shared<Core>(context, std::move(options), std::move(callbacks))) {
  listener_ = context.bus->AddConnectionListener([core = core_.get()](ConnectionState state) {
    if (state == ConnectionState::kConnected) core->ConnectionRestored();
  });
  core_->Begin();
}

NatsOrderedReader::~NatsOrderedReader() {
  listener_.reset();
  core_->Join();
}

void NatsOrderedReader::Quit() { core_->Quit(); }

void NatsOrderedReader::Post(std::function<void()> task) { core_->Post(std::move(task)); }

void NatsOrderedReader::After(absl::Duration delay, std::function<void()> task) {
  core_->After(delay, std::move(task));
}

NatsOrderedReader::Options NatsOrderedReader::OfBucket(const JetStreamContext& context,
                                                       const KeyValueOptions& bucket,
                                                       const std::string& pattern) {
  return {.stream = StreamOf(bucket),
          .filter = SubjectOfKey(bucket, pattern),
          .ensure = [context, bucket](std::function<void(absl::Status)> done) {
            EnsureBucket(context, bucket, std::move(done));
          }};
}

}  // namespace varpulis::transport
