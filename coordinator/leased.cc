#include "coordinator/leased.h"

#include <utility>

namespace varpulis::coordinator {
namespace {

using transport::Bus;
using transport::RecordLog;

constexpr char kRunOut[] = "the lease of this coordinator has run out";

class LeasedBus : public Bus, public std::enable_shared_from_this<LeasedBus> {
 public:
  LeasedBus(Bus& bus, std::shared_ptr<const Tenure> tenure)
      : bus_(bus), tenure_(std::move(tenure)) {}

  absl::Status Publish(const transport::OutgoingMessage& message) override {
    if (!tenure_->valid()) return absl::UnavailableError(kRunOut);
    return bus_.Publish(message);
  }

  void Request(transport::OutgoingMessage message, absl::Duration timeout,
               ReplyCallback done) override {
    if (!tenure_->valid()) return done(absl::UnavailableError(kRunOut));
    // `done` may own repliers that answer through this bus: it is kept until they are gone.
    bus_.Request(std::move(message), timeout,
                 [self = shared_from_this(), done = std::move(done)](
                     absl::StatusOr<transport::InboundMessage> reply) { done(std::move(reply)); });
  }

  absl::Status Reply(const std::string& reply_to, std::string payload,
                     transport::Headers headers) override {
    if (!tenure_->may_answer()) return absl::UnavailableError(kRunOut);
    return bus_.Reply(reply_to, std::move(payload), std::move(headers));
  }

  absl::StatusOr<std::unique_ptr<transport::Subscription>> Subscribe(
      transport::SubscribeOptions options, Handler handler) override {
    return bus_.Subscribe(std::move(options), std::move(handler));
  }
  int64_t max_payload() const override { return bus_.max_payload(); }
  transport::ConnectionState state() const override { return bus_.state(); }
  absl::Status Flush(absl::Duration timeout) override { return bus_.Flush(timeout); }
  std::unique_ptr<transport::Subscription> AddConnectionListener(
      ConnectionListener listener) override {
    return bus_.AddConnectionListener(std::move(listener));
  }

 private:
  Bus& bus_;
  const std::shared_ptr<const Tenure> tenure_;
};

class LeasedLog : public RecordLog {
 public:
  LeasedLog(std::unique_ptr<RecordLog> log, std::shared_ptr<const Tenure> tenure)
      : log_(std::move(log)), tenure_(std::move(tenure)) {}

  void Follow() override { log_->Follow(); }
  void Open(transport::RecordWrite barrier,
            std::function<void(absl::StatusOr<Opened>)> done) override {
    if (!tenure_->valid()) return done(absl::AbortedError(kRunOut));
    log_->Open(std::move(barrier), std::move(done));
  }
  void Append(std::vector<transport::RecordWrite> writes,
              std::function<void(absl::StatusOr<uint64_t>)> done) override {
    if (!tenure_->valid()) return done(absl::AbortedError(kRunOut));
    log_->Append(std::move(writes), std::move(done));
  }
  bool durable() const override { return log_->durable(); }

 private:
  const std::unique_ptr<RecordLog> log_;
  const std::shared_ptr<const Tenure> tenure_;
};

}  // namespace

std::shared_ptr<Bus> MakeLeasedBus(Bus& bus, std::shared_ptr<const Tenure> tenure) {
  return std::make_shared<LeasedBus>(bus, std::move(tenure));
}

std::unique_ptr<RecordLog> MakeLeasedLog(std::unique_ptr<RecordLog> log,
                                         std::shared_ptr<const Tenure> tenure) {
  return std::make_unique<LeasedLog>(std::move(log), std::move(tenure));
}

}  // namespace varpulis::coordinator
