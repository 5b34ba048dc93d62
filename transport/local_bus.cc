#include "transport/local_bus.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/strand.h"
#include "transport/subject_match.h"

namespace varpulis::transport {
namespace {

constexpr int64_t kMaxPayload = 64 << 20;
constexpr char kInbox[] = "_INBOX.local.";
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);

using SharedMessage = std::shared_ptr<const OutgoingMessage>;

class LocalBacking : public InboundMessage::Backing {
 public:
  explicit LocalBacking(SharedMessage message) : message_(std::move(message)) {}

  absl::string_view subject() const override { return message_->subject; }
  absl::string_view reply_to() const override { return message_->reply_to; }
  absl::string_view payload() const override { return message_->payload; }
  std::optional<std::string> Header(const std::string& name) const override {
    for (const auto& [key, value] : message_->headers) {
      if (key == name) return value;
    }
    return std::nullopt;
  }

 private:
  const SharedMessage message_;
};

InboundMessage Inbound(SharedMessage message) {
  return InboundMessage(std::make_unique<LocalBacking>(std::move(message)));
}

// One subscriber. Shared by its handle, the subject table and the deliveries on their way to it.
class Subscriber {
 public:
  Subscriber(SubscribeOptions options, Bus::Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}

  const std::string& subject() const { return options_.subject; }
  const std::string& queue_group() const { return options_.queue_group; }

  // False: too many wait already, and this one is dropped.
  bool Reserve() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    if (pending_ >= options_.max_pending_messages) {
      ++dropped_;
      return false;
    }
    ++pending_;
    return true;
  }

  // On the strand, once per successful Reserve.
  void Deliver(InboundMessage message) {
    {
      MutexLock lock(mutex_);
      --pending_;
      if (closed_) return;
      running_ = true;
    }
    handler_(std::move(message));
    MutexLock lock(mutex_);
    running_ = false;
    idle_.NotifyAll();
  }

  // Returns once the handler is not running and never will. On the strand itself nothing can be
  // running but the caller.
  void Close(bool on_strand) {
    {
      MutexLock lock(mutex_);
      closed_ = true;
      while (running_ && !on_strand) idle_.Wait(mutex_);
    }
    if (!on_strand) handler_ = nullptr;  // what it owns goes with the handle
  }

  uint64_t dropped() const {
    MutexLock lock(mutex_);
    return dropped_;
  }

 private:
  const SubscribeOptions options_;
  Bus::Handler handler_;  // const until closed
  mutable Mutex mutex_;
  CondVar idle_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

using Subscribers = std::vector<std::shared_ptr<Subscriber>>;

// What the bus and its handles share. Tasks on the strand borrow it: the bus stops the strand
// before it lets go.
class Core {
 public:
  Core() : strand_("local-bus") {}

  bool OnStrand() const { return strand_.OnThisThread(); }

  absl::Status Publish(SharedMessage message) {
    MutexLock lock(mutex_);
    if (closed_) return absl::UnavailableError("the bus is closed");
    if (absl::StartsWith(message->subject, kInbox)) {
      CompleteLocked(message->subject, message);
    } else {
      DeliverLocked(std::move(message));
    }
    return absl::OkStatus();
  }

  void Request(OutgoingMessage message, absl::Duration timeout, Bus::ReplyCallback done) {
    absl::Status refused;
    {
      MutexLock lock(mutex_);
      if (closed_) {
        refused = absl::CancelledError("the bus is closed");
      } else {
        message.reply_to = absl::StrCat(kInbox, next_request_++);
        const std::string inbox = message.reply_to;
        const std::string subject = message.subject;
        if (DeliverLocked(std::make_shared<const OutgoingMessage>(std::move(message)))) {
          Pending& pending = pending_[inbox];
          pending.done = std::move(done);
          pending.timer = strand_.After(std::clamp(timeout, absl::ZeroDuration(), kLongestTimeout),
                                        [this, inbox, subject] { Expire(inbox, subject); });
          return;
        }
        refused = NoRespondersError(subject);
      }
    }
    done(std::move(refused));
  }

  std::shared_ptr<Subscriber> Add(SubscribeOptions options, Bus::Handler handler) {
    auto subscriber = std::make_shared<Subscriber>(std::move(options), std::move(handler));
    MutexLock lock(mutex_);
    if (HasWildcard(subscriber->subject())) {
      patterns_.push_back(subscriber);
    } else {
      exact_[subscriber->subject()].push_back(subscriber);
    }
    return subscriber;
  }

  void Remove(const std::shared_ptr<Subscriber>& subscriber) {
    {
      MutexLock lock(mutex_);
      if (HasWildcard(subscriber->subject())) {
        std::erase(patterns_, subscriber);
      } else if (const auto it = exact_.find(subscriber->subject()); it != exact_.end()) {
        std::erase(it->second, subscriber);
        if (it->second.empty()) exact_.erase(it);
      }
    }
    subscriber->Close(OnStrand());
  }

  // True once all posted before has run; false after `timeout`.
  bool Drain(absl::Duration timeout) {
    struct Waiter {
      Mutex mutex;
      CondVar changed;
      bool done ABSL_GUARDED_BY(mutex) = false;
    };
    const auto waiter = std::make_shared<Waiter>();
    const bool posted = strand_.Post([waiter] {
      MutexLock lock(waiter->mutex);
      waiter->done = true;
      waiter->changed.NotifyAll();
    });
    if (!posted) return true;
    const auto deadline = std::chrono::steady_clock::now() +
                          absl::ToChronoNanoseconds(std::min(timeout, kLongestTimeout));
    MutexLock lock(waiter->mutex);
    while (!waiter->done) {
      if (!waiter->changed.WaitUntil(waiter->mutex, deadline)) return waiter->done;
    }
    return true;
  }

  void Close() {
    absl::flat_hash_map<std::string, Pending> cancelled;
    {
      MutexLock lock(mutex_);
      closed_ = true;
      cancelled.swap(pending_);
    }
    strand_.Stop();
    for (auto& [inbox, pending] : cancelled) {
      pending.done(absl::CancelledError("the bus was closed before the reply came"));
    }
  }

 private:
  struct Pending {
    Bus::ReplyCallback done;
    Strand::TimerId timer = 0;
  };

  // Queues `message` for everybody it is for; one member of each queue group. False: nobody.
  bool DeliverLocked(SharedMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Subscribers targets;
    Subscribers grouped;
    const auto take = [&](const std::shared_ptr<Subscriber>& subscriber) {
      (subscriber->queue_group().empty() ? targets : grouped).push_back(subscriber);
    };
    if (const auto it = exact_.find(message->subject); it != exact_.end()) {
      for (const auto& subscriber : it->second) take(subscriber);
    }
    for (const auto& subscriber : patterns_) {
      if (SubjectMatches(subscriber->subject(), message->subject)) take(subscriber);
    }
    ++deliveries_;
    std::stable_sort(grouped.begin(), grouped.end(), [](const auto& a, const auto& b) {
      return a->queue_group() < b->queue_group();
    });
    for (size_t first = 0; first < grouped.size();) {
      size_t last = first + 1;
      while (last < grouped.size() && grouped[last]->queue_group() == grouped[first]->queue_group())
        ++last;
      targets.push_back(grouped[first + deliveries_ % (last - first)]);
      first = last;
    }
    if (targets.empty()) return false;
    std::erase_if(targets, [](const auto& target) { return !target->Reserve(); });
    strand_.Post([targets = std::move(targets), message = std::move(message)] {
      for (const auto& target : targets) target->Deliver(Inbound(message));
    });
    return true;
  }

  // A reply; late and second ones find nobody.
  void CompleteLocked(const std::string& inbox, SharedMessage message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto it = pending_.find(inbox);
    if (it == pending_.end()) return;
    strand_.Cancel(it->second.timer);
    strand_.Post([done = std::move(it->second.done), message = std::move(message)] {
      done(Inbound(message));
    });
    pending_.erase(it);
  }

  void Expire(const std::string& inbox, const std::string& subject) {
    Bus::ReplyCallback done;
    {
      MutexLock lock(mutex_);
      const auto it = pending_.find(inbox);
      if (it == pending_.end()) return;
      done = std::move(it->second.done);
      pending_.erase(it);
    }
    done(absl::DeadlineExceededError(absl::StrCat("no reply from ", subject, " in time")));
  }

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<std::string, Subscribers> exact_ ABSL_GUARDED_BY(mutex_);
  Subscribers patterns_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Pending> pending_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_request_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t deliveries_ ABSL_GUARDED_BY(mutex_) = 0;
  Strand strand_;  // last: its tasks use all of the above
};

class LocalSubscription : public Subscription {
 public:
  LocalSubscription(std::shared_ptr<Core> core, std::shared_ptr<Subscriber> subscriber)
      : core_(std::move(core)), subscriber_(std::move(subscriber)) {}
  ~LocalSubscription() override { core_->Remove(subscriber_); }
  uint64_t dropped() const override { return subscriber_->dropped(); }

 private:
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Subscriber> subscriber_;
};

// The state never changes, so there is nothing to tell.
class NoSubscription : public Subscription {
 public:
  uint64_t dropped() const override { return 0; }
};

class LocalBus : public Bus {
 public:
  ~LocalBus() override { core_->Close(); }

  absl::Status Publish(const OutgoingMessage& message) override {
    RETURN_IF_ERROR(CheckSubject(message.subject));
    return core_->Publish(std::make_shared<const OutgoingMessage>(message));
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(SubscribeOptions options,
                                                          Handler handler) override {
    RETURN_IF_ERROR(CheckPattern(options.subject));
    auto subscriber = core_->Add(std::move(options), std::move(handler));
    return std::make_unique<LocalSubscription>(core_, std::move(subscriber));
  }

  void Request(OutgoingMessage message, absl::Duration timeout, ReplyCallback done) override {
    if (absl::Status valid = CheckSubject(message.subject); !valid.ok()) {
      return done(std::move(valid));
    }
    core_->Request(std::move(message), timeout, std::move(done));
  }

  absl::Status Reply(const std::string& reply_to, std::string payload, Headers headers) override {
    RETURN_IF_ERROR(CheckSubject(reply_to));
    return core_->Publish(std::make_shared<const OutgoingMessage>(
        OutgoingMessage{reply_to, std::move(payload), std::move(headers), ""}));
  }

  int64_t max_payload() const override { return kMaxPayload; }
  ConnectionState state() const override { return ConnectionState::kConnected; }

  absl::Status Flush(absl::Duration timeout) override {
    if (core_->OnStrand() || core_->Drain(timeout)) return absl::OkStatus();
    return absl::DeadlineExceededError("messages are still waiting for their handlers");
  }

  std::unique_ptr<Subscription> AddConnectionListener(ConnectionListener) override {
    return std::make_unique<NoSubscription>();
  }

 private:
  const std::shared_ptr<Core> core_ = std::make_shared<Core>();
};

}  // namespace

std::unique_ptr<Bus> NewLocalBus() { return std::make_unique<LocalBus>(); }

}  // namespace varpulis::transport
