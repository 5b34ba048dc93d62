#include "transport/nats_connection.h"

#include <nats/nats.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "transport/chunking.h"
#include "transport/epoll_loop.h"
#include "transport/nats_blob_store.h"
#include "transport/nats_event_streams.h"
#include "transport/nats_events.h"
#include "transport/nats_jetstream.h"
#include "transport/nats_key_value.h"
#include "transport/nats_options.h"
#include "transport/nats_record_log.h"
#include "transport/nats_status.h"
#include "transport/nats_subscription.h"
#include "transport/request_mux.h"

namespace varpulis::transport {
namespace {

constexpr int kMostUnwritten = 16 << 20;         // bytes in nats.c's buffer before Publish waits
constexpr int64_t kLookAtBufferEvery = 1 << 20;  // published bytes
constexpr absl::Duration kWriteTimeout = absl::Seconds(5);
constexpr absl::Duration kDrainTimeout = absl::Seconds(5);

std::string NewInbox(const NatsOptions& options) {
  return absl::StrCat(options.inbox_prefix.empty() ? "_INBOX" : options.inbox_prefix, ".",
                      NewUuid());
}

class NatsConnectionImpl final : public NatsConnection {
 public:
  NatsConnectionImpl(NatsOptions options, std::shared_ptr<EpollLoop> loop)
      : options_(std::move(options)),
        loop_(std::move(loop)),
        mux_(std::make_shared<RequestMux>(NewInbox(options_))),
        quiet_subject_(absl::StrCat(mux_->inbox_wildcard(), ".unused")),
        events_(ConnectionEvents::Create()) {}
  ~NatsConnectionImpl() override;

  absl::Status Connect();

  absl::Status Publish(const OutgoingMessage& message) override;
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(SubscribeOptions options,
                                                          Handler handler) override;
  void Request(OutgoingMessage message, absl::Duration timeout, ReplyCallback done) override;
  absl::Status Reply(const std::string& reply_to, std::string payload, Headers headers) override;
  int64_t max_payload() const override { return natsConnection_GetMaxPayload(connection_); }
  ConnectionState state() const override;
  absl::Status Flush(absl::Duration timeout) override;
  std::unique_ptr<Subscription> AddConnectionListener(ConnectionListener listener) override {
    return events_->AddListener(std::move(listener));
  }

  absl::StatusOr<std::unique_ptr<KeyValue>> OpenKeyValue(KeyValueOptions options) override {
    return OpenNatsKeyValue(JetStream(), std::move(options));
  }
  absl::StatusOr<std::unique_ptr<RecordLog>> OpenRecordLog(KeyValueOptions options) override {
    return OpenNatsRecordLog(JetStream(), std::move(options));
  }
  std::unique_ptr<BlobStore> OpenBlobStore(BlobStoreOptions options) override {
    return NewNatsBlobStore(JetStream(), std::move(options));
  }
  std::unique_ptr<EventStreams> OpenEventStreams() override {
    return OpenNatsEventStreams(JetStream());
  }

  std::string connected_url() const override;
  std::string server_id() const override;
  std::vector<std::string> known_urls() const override;
  uint64_t reconnects() const override { return events_->reconnects(); }
  uint64_t slow_consumer_events() const override { return events_->slow_consumers(); }

 private:
  absl::Status PublishWhole(const OutgoingMessage& message);
  absl::Status WaitForRoom(size_t bytes);
  JetStreamContext JetStream();

  const NatsOptions options_;
  const std::shared_ptr<EpollLoop> loop_;
  const std::shared_ptr<RequestMux> mux_;
  const std::string quiet_subject_;  // under the inbox, where we need permission anyway
  const std::shared_ptr<ConnectionEvents> events_;
  // Held by every subscription; more than one user means that there is something to drain.
  const std::shared_ptr<int> subscription_count_ = std::make_shared<int>();

  natsConnection* connection_ = nullptr;  // constant once connected
  std::unique_ptr<NatsSubscription> reply_inbox_;
  std::atomic<int64_t> published_since_look_{0};
};

absl::Status NatsConnectionImpl::Connect() {
  static const natsStatus pool = nats_SetMessageDeliveryPoolSize(kDeliveryThreads);
  RETURN_IF_ERROR(FromNats(pool, "starting the delivery threads"));

  ASSIGN_OR_RETURN(NatsOptionsPtr nats_options, MakeNatsOptions(options_));
  RETURN_IF_ERROR(loop_->Install(nats_options.get()));
  RETURN_IF_ERROR(events_->Install(nats_options.get()));
  events_->OnDisconnected([mux = mux_] {
    mux->FailAll(absl::UnavailableError(
        "the connection to the broker was lost before the reply came; outcome unknown"));
  });

  std::vector<std::string> shown;
  for (const std::string& url : options_.urls) shown.push_back(WithoutCredentials(url));
  const natsStatus status = natsConnection_Connect(&connection_, nats_options.get());
  const std::string action = absl::StrCat("connecting to ", absl::StrJoin(shown, ", "));
  if (status == NATS_PROTOCOL_ERROR && UsesTls(options_)) {
    // TLS 1.3: our side of the handshake is over before the broker looks at our certificate.
    return absl::UnauthenticatedError(absl::StrCat(
        action, ": the broker ended the connection after the TLS handshake; it may require a ",
        "client certificate, or one of another authority"));
  }
  RETURN_IF_ERROR(FromNatsWithReason(status, action));

  SubscribeOptions inbox;
  inbox.subject = mux_->inbox_wildcard();
  ASSIGN_OR_RETURN(reply_inbox_,
                   NatsSubscription::Create(
                       connection_, loop_, quiet_subject_, inbox,
                       [mux = mux_](InboundMessage reply) { mux->OnReply(std::move(reply)); },
                       nullptr, DeliveryThread::kReplies));
  return absl::OkStatus();
}

NatsConnectionImpl::~NatsConnectionImpl() {
  mux_->Close();
  reply_inbox_.reset();
  if (connection_ != nullptr) {
    const int64_t drain_ms = absl::ToInt64Milliseconds(kDrainTimeout);
    if (state() == ConnectionState::kConnected) {
      if (subscription_count_.use_count() > 1 &&
          natsConnection_DrainTimeout(connection_, drain_ms) == NATS_OK) {
        events_->WaitUntilClosed(kDrainTimeout + absl::Seconds(1));
      } else {
        natsConnection_FlushTimeout(connection_, drain_ms);
      }
    }
    natsConnection_Close(connection_);
    events_->WaitUntilClosed(kDrainTimeout);
    loop_->WaitUntilDetached(kDrainTimeout);
  }
  loop_->Stop();
  natsConnection_Destroy(connection_);
}

absl::Status NatsConnectionImpl::Publish(const OutgoingMessage& message) {
  RETURN_IF_ERROR(CheckPublishSubject(message.subject));
  if (!message.reply_to.empty()) RETURN_IF_ERROR(CheckPublishSubject(message.reply_to));
  RETURN_IF_ERROR(CheckHeaders(message.headers));
  return PublishWhole(message);
}

absl::Status NatsConnectionImpl::PublishWhole(const OutgoingMessage& message) {
  const int64_t size = WireSize(message);
  RETURN_IF_ERROR(WaitForRoom(static_cast<size_t>(size)));
  absl::Status status = PublishOn(connection_, message);
  if (absl::IsResourceExhausted(status)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a message of ", size, " bytes to ", message.subject,
        " is larger than the broker takes (max_payload is ", max_payload(), " bytes)"));
  }
  return status;
}

absl::Status NatsConnectionImpl::WaitForRoom(size_t bytes) {
  if (published_since_look_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed) <
      kLookAtBufferEvery) {
    return absl::OkStatus();
  }
  published_since_look_.store(0, std::memory_order_relaxed);
  if (natsConnection_Buffered(connection_) < kMostUnwritten) return absl::OkStatus();
  if (loop_->WaitUntilWritten(kWriteTimeout)) return absl::OkStatus();
  published_since_look_.store(kLookAtBufferEvery, std::memory_order_relaxed);
  return absl::ResourceExhaustedError(
      absl::StrCat("the broker has taken nothing for ", absl::FormatDuration(kWriteTimeout),
                   " and ", natsConnection_Buffered(connection_), " bytes wait"));
}

absl::StatusOr<std::unique_ptr<Subscription>> NatsConnectionImpl::Subscribe(
    SubscribeOptions options, Handler handler) {
  return NatsSubscription::Create(connection_, loop_, quiet_subject_, options, std::move(handler),
                                  subscription_count_);
}

void NatsConnectionImpl::Request(OutgoingMessage message, absl::Duration timeout,
                                 ReplyCallback done) {
  absl::Status valid = CheckPublishSubject(message.subject);
  if (valid.ok()) valid = CheckHeaders(message.headers);
  if (!valid.ok()) return done(valid);
  message.reply_to = mux_->Begin(message.subject, timeout, std::move(done));
  if (message.reply_to.empty()) return;
  const std::string reply_to = message.reply_to;
  for (const OutgoingMessage& part : CutIntoChunks(std::move(message), max_payload())) {
    const absl::Status status = PublishWhole(part);
    if (!status.ok()) return mux_->Fail(reply_to, status);
  }
}

absl::Status NatsConnectionImpl::Reply(const std::string& reply_to, std::string payload,
                                       Headers headers) {
  OutgoingMessage message{.subject = reply_to,
                          .payload = std::move(payload),
                          .headers = std::move(headers),
                          .reply_to = ""};
  RETURN_IF_ERROR(CheckPublishSubject(message.subject));
  RETURN_IF_ERROR(CheckHeaders(message.headers));
  for (const OutgoingMessage& part : CutIntoChunks(std::move(message), max_payload())) {
    RETURN_IF_ERROR(PublishWhole(part));
  }
  return absl::OkStatus();
}

ConnectionState NatsConnectionImpl::state() const {
  switch (natsConnection_Status(connection_)) {
    case NATS_CONN_STATUS_CONNECTED:
    case NATS_CONN_STATUS_DRAINING_SUBS:
    case NATS_CONN_STATUS_DRAINING_PUBS:
      return ConnectionState::kConnected;
    case NATS_CONN_STATUS_CLOSED:
      return ConnectionState::kClosed;
    default:
      return ConnectionState::kDisconnected;
  }
}

absl::Status NatsConnectionImpl::Flush(absl::Duration timeout) {
  if (state() != ConnectionState::kConnected) {
    return absl::UnavailableError("flushing: not connected to the broker");
  }
  const int64_t timeout_ms = std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, 3'600'000);
  return FromNats(natsConnection_FlushTimeout(connection_, timeout_ms), "flushing");
}

std::string NatsConnectionImpl::connected_url() const {
  char url[512] = "";
  natsConnection_GetConnectedUrl(connection_, url, sizeof(url));
  return WithoutCredentials(url);
}

std::string NatsConnectionImpl::server_id() const {
  char id[128] = "";
  natsConnection_GetConnectedServerId(connection_, id, sizeof(id));
  return id;
}

std::vector<std::string> NatsConnectionImpl::known_urls() const {
  std::vector<std::string> urls;
  char** servers = nullptr;
  int count = 0;
  if (natsConnection_GetServers(connection_, &servers, &count) != NATS_OK) return urls;
  for (int i = 0; i < count; ++i) {
    std::string url = WithoutCredentials(servers[i]);
    if (std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(std::move(url));
    free(servers[i]);
  }
  free(servers);
  return urls;
}

JetStreamContext NatsConnectionImpl::JetStream() {
  JetStreamContext context;
  context.bus = this;
  context.inbox_prefix = options_.inbox_prefix.empty() ? "_INBOX" : options_.inbox_prefix;
  context.request = [this](OutgoingMessage message, absl::Duration timeout, ReplyCallback done) {
    message.reply_to = mux_->Begin(message.subject, timeout, std::move(done));
    if (message.reply_to.empty()) return;
    const absl::Status status = Publish(message);
    if (!status.ok()) mux_->Fail(message.reply_to, status);
  };
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NatsConnection>> NatsConnection::Connect(NatsOptions options) {
  ASSIGN_OR_RETURN(std::shared_ptr<EpollLoop> loop, EpollLoop::Start("nats-loop"));
  auto connection = std::make_unique<NatsConnectionImpl>(std::move(options), std::move(loop));
  RETURN_IF_ERROR(connection->Connect());
  return connection;
}

}  // namespace varpulis::transport
