#include "record_store.h"

#include <algorithm>
#include <utility>

#include "site.h"

namespace varpulis::simulation {
namespace {

using transport::Record;
using transport::RecordLog;
using transport::RecordWrite;

constexpr absl::Duration kAnswerWithin = absl::Seconds(2);
constexpr int kBarrierAttempts = 50;

using Opened = RecordLog::Opened;

// Lives until the broker has served and answered all.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Site& site, Process& owner, std::string nonce)
      : site_(site), owner_(owner), life_(owner.life()), nonce_(std::move(nonce)) {}

  void Open(RecordWrite barrier, std::function<void(absl::StatusOr<Opened>)> done) {
    auto opening = std::make_shared<Opening>();
    opening->barrier = std::move(barrier);
    opening->done = std::move(done);
    FindEnd(opening);
  }

  void Append(std::vector<RecordWrite> writes, std::function<void(absl::StatusOr<uint64_t>)> done) {
    site_.ledger.OnAct(owner_.name(), site_.lease.HeldBy(nonce_) || site_.lease.WipedOfLate());
    if (!chain_->dead.ok()) return done(chain_->dead);
    const uint64_t expected = chain_->last;
    chain_->last += writes.size();
    auto once = std::make_shared<std::function<void(absl::StatusOr<uint64_t>)>>(std::move(done));
    const auto finish = [chain = chain_, once](absl::StatusOr<uint64_t> stored) {
      if (!*once) return;
      if (!stored.ok() && chain->dead.ok()) chain->dead = stored.status();
      if (!stored.ok()) stored = chain->dead;
      std::exchange(*once, nullptr)(std::move(stored));
    };
    Ask([self = shared_from_this(), barrier = chain_->barrier, writes = std::move(writes),
         expected] { return self->Store(barrier, writes, expected); },
        finish);
  }

 private:
  struct Opening {
    RecordWrite barrier;
    std::function<void(absl::StatusOr<Opened>)> done;
    int attempts_left = kBarrierAttempts;
  };
  struct Chain {
    uint64_t barrier = 0;
    uint64_t last = 0;  // of what has been sent
    absl::Status dead;
  };

  // One request to the broker; `done` is called once.
  void Ask(std::function<absl::StatusOr<uint64_t>()> serve,
           const std::function<void(absl::StatusOr<uint64_t>)>& done) {
    auto once = std::make_shared<std::function<void(absl::StatusOr<uint64_t>)>>(done);
    const auto finish = [once](const absl::StatusOr<uint64_t>& result) {
      if (*once) std::exchange(*once, nullptr)(result);
    };
    const bool connected = owner_.connected();
    owner_.After(connected ? kAnswerWithin : absl::ZeroDuration(), [finish, connected] {
      finish(connected ? absl::DeadlineExceededError("the store does not answer")
                       : absl::UnavailableError("not connected"));
    });
    site_.network.AskBroker(
        owner_,
        [serve = std::move(serve), finish]() -> std::function<void()> {
          return [finish, result = serve()] { finish(result); };
        },
        /*in_order=*/true);
  }

  absl::StatusOr<uint64_t> Store(uint64_t barrier, const std::vector<RecordWrite>& writes,
                                 uint64_t expected) {
    if (site_.random.Chance(site_.misfortune.store_failure)) {
      ++site_.counters.store_failures;
      return absl::UnavailableError("insufficient resources");
    }
    size_t arriving = writes.size();
    if (arriving > 1 && site_.random.Chance(site_.misfortune.torn_batch)) {
      ++site_.counters.torn_batches;
      arriving = 1 + site_.random.Below(arriving - 1);
    }
    absl::StatusOr<uint64_t> stored = expected;
    for (size_t i = 0; i < arriving && stored.ok(); ++i) {
      stored = site_.store.Publish(nonce_, writes[i], expected + i, barrier);
    }
    if (!stored.ok()) ++site_.counters.refused_writes;
    if (stored.ok() && owner_.life() == life_ && owner_.up() &&
        site_.random.Chance(site_.misfortune.crash_amid_write)) {
      ++site_.counters.crashes_amid_writes;
      site_.Note("crash amid a write", owner_.name());
      owner_.Crash();
    }
    if (arriving < writes.size()) return absl::UnavailableError("the connection broke");
    return stored;
  }

  void FindEnd(const std::shared_ptr<Opening>& opening) {
    Ask([self = shared_from_this()] { return self->site_.store.last(); },
        [self = shared_from_this(), opening](absl::StatusOr<uint64_t> end) {
          if (!end.ok()) return opening->done(end.status());
          self->WriteBarrier(opening, *end);
        });
  }

  void WriteBarrier(const std::shared_ptr<Opening>& opening, uint64_t end) {
    Ask(
        [self = shared_from_this(), opening, end] {
          return self->site_.store.Publish(self->nonce_, opening->barrier, end, /*barrier=*/0);
        },
        [self = shared_from_this(), opening](absl::StatusOr<uint64_t> sequence) {
          if (absl::IsAborted(sequence.status()) && --opening->attempts_left > 0) {
            return self->FindEnd(opening);
          }
          if (!sequence.ok()) return opening->done(sequence.status());
          self->chain_ = std::make_shared<Chain>(Chain{*sequence, *sequence, {}});
          auto loaded = std::make_shared<std::vector<Record>>();
          self->Ask(
              [self, loaded, barrier = *sequence]() -> absl::StatusOr<uint64_t> {
                if (self->site_.store.last() > barrier) {
                  return absl::AbortedError("another coordinator has opened the log since");
                }
                *loaded = self->site_.store.Load();
                return barrier;
              },
              [opening, loaded](absl::StatusOr<uint64_t> barrier) {
                if (!barrier.ok()) return opening->done(barrier.status());
                opening->done(Opened{*barrier, *loaded});
              });
        });
  }

  Site& site_;
  Process& owner_;
  const uint64_t life_;
  const std::string nonce_;  // of the lease, and of this life
  std::shared_ptr<Chain> chain_;
};

class Log : public RecordLog {
 public:
  explicit Log(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  void Follow() override {}
  void Open(RecordWrite barrier, std::function<void(absl::StatusOr<Opened>)> done) override {
    session_->Open(std::move(barrier), std::move(done));
  }
  void Append(std::vector<RecordWrite> writes,
              std::function<void(absl::StatusOr<uint64_t>)> done) override {
    session_->Append(std::move(writes), std::move(done));
  }
  bool durable() const override { return true; }

 private:
  const std::shared_ptr<Session> session_;
};

}  // namespace

absl::StatusOr<uint64_t> RecordStore::Publish(const std::string& writer, const RecordWrite& write,
                                              uint64_t expected, uint64_t barrier) {
  if (expected != last_ || (barrier != 0 && barrier != last_barrier_))
    return absl::AbortedError("wrong last sequence");
  ++last_;
  if (barrier == 0) last_barrier_ = last_;
  if (write.remove) {
    records_.erase(write.key);
  } else {
    records_[write.key] = {write.value, last_};
  }
  ledger_.OnStored(writer, write, last_);
  return last_;
}

void RecordStore::WriteForeign() {
  last_barrier_ = 0;
  ledger_.OnStored("somebody", {"foreign", "", false}, ++last_);
}

std::vector<Record> RecordStore::Load() const {
  std::vector<Record> found;
  for (const auto& [key, stored] : records_) {
    found.push_back({key, stored.value, stored.sequence});
  }
  std::sort(found.begin(), found.end(),
            [](const Record& a, const Record& b) { return a.sequence < b.sequence; });
  return found;
}

std::unique_ptr<RecordLog> NewRecordLog(Site& site, Process& owner, std::string lease_nonce) {
  return std::make_unique<Log>(std::make_shared<Session>(site, owner, std::move(lease_nonce)));
}

}  // namespace varpulis::simulation
