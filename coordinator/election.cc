#include "coordinator/election.h"

#include <time.h>

#include <future>
#include <optional>
#include <random>
#include <utility>

#include "glog/logging.h"

#include "base/ids.h"
#include "proto/state.pb.h"
#include "transport/json_codec.h"

namespace varpulis::coordinator {
namespace {

constexpr char kLeaseKey[] = "leader";

std::string Encode(const LeaseEntry& entry) {
  varpulis::state::v1::LeaderLease lease;
  lease.set_coordinator_id(entry.holder);
  lease.set_nonce(entry.nonce);
  lease.set_sending(entry.sending);
  return transport::ToJson(lease);
}

// Whatever cannot be read is somebody else's.
LeaseEntry Decode(const transport::KeyValueEntry& stored) {
  varpulis::state::v1::LeaderLease lease;
  if (!transport::FromJson(stored.value, &lease).ok()) return {"?", "?", 0, stored.revision};
  return {lease.coordinator_id(), lease.nonce(), lease.sending(), stored.revision};
}

std::function<double()> Random() {
  return [engine = std::make_shared<std::mt19937_64>(std::random_device()())] {
    return std::uniform_real_distribution<double>(0, 1)(*engine);
  };
}

}  // namespace

absl::Time BootTime() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::TimeFromTimespec(now);
}

Election::Election(Deps deps, Lease::Policy policy)
    : deps_(std::move(deps)),
      nonce_(NewUuid()),
      lease_(policy, nonce_, Random()),
      strand_(std::make_shared<Strand>("election")) {
  strand_->Post([this] {
    Carry(lease_.Start(deps_.clock()));
    Watch();
  });
}

Election::~Election() {
  strand_->Stop();
  EndTenure();
}

void Election::Watch() {
  absl::StatusOr<std::unique_ptr<transport::Subscription>> watch = deps_.bucket->Watch(
      kLeaseKey, {.on_entry =
                      [this, strand = strand_](const transport::KeyValueEntry& stored) {
                        std::optional<LeaseEntry> entry;
                        if (!stored.deleted) entry = Decode(stored);
                        strand->Post([this, entry = std::move(entry)] {
                          Carry(lease_.OnHeard(entry, deps_.clock()));
                        });
                      },
                  .on_snapshot_done = [] {}});
  if (watch.ok()) {
    watch_ = *std::move(watch);
  } else {
    LOG(WARNING) << "the lease cannot be watched and is polled: " << watch.status();
  }
}

void Election::EndTenure() {
  if (tenure_ != nullptr) tenure_->End();
  tenure_ = nullptr;
}

void Election::Carry(const Lease::Actions& actions) {
  if (actions.lost.has_value() && tenure_ != nullptr) {
    EndTenure();
    deps_.on_lost(absl::AbortedError(*actions.lost));
  }
  if (actions.elected) tenure_ = std::make_shared<Tenure>(deps_.clock);
  if (lease_.leads()) tenure_->ExtendTo(lease_.valid_until());
  if (actions.elected) deps_.on_elected(tenure_);

  if (actions.write.has_value()) {
    const auto [sending, expected] = *actions.write;
    const auto done = [this, strand = strand_,
                       sending = sending](absl::StatusOr<uint64_t> revision) {
      strand->Post([this, sending, revision = std::move(revision)] {
        Carry(lease_.OnWritten(sending, revision, deps_.clock()));
      });
    };
    std::string value = Encode({deps_.coordinator_id, nonce_, sending});
    if (expected == 0) {
      deps_.bucket->Create(kLeaseKey, std::move(value), done);
    } else {
      deps_.bucket->Update(kLeaseKey, std::move(value), expected, done);
    }
  }
  if (actions.read.has_value()) {
    deps_.bucket->Get(kLeaseKey, [this, strand = strand_, read = *actions.read](
                                     const absl::StatusOr<transport::KeyValueEntry>& stored) {
      const absl::StatusOr<LeaseEntry> entry =
          stored.ok() ? absl::StatusOr<LeaseEntry>(Decode(*stored)) : stored.status();
      strand->Post([this, read, entry] { Carry(lease_.OnRead(read, entry, deps_.clock())); });
    });
  }
  if (actions.remove.has_value()) {
    deps_.bucket->Delete(kLeaseKey, *actions.remove,
                         [this, strand = strand_](const absl::StatusOr<uint64_t>& removed) {
                           LOG_IF(WARNING, !removed.ok())
                               << "the lease could not be given back and has to run out: "
                               << removed.status();
                           strand->Post([this] { Carry(lease_.OnRemoved(deps_.clock())); });
                         });
  }
  if (actions.wake_in.has_value()) {
    strand_->Cancel(timer_);
    timer_ = strand_->After(*actions.wake_in, [this] { Carry(lease_.OnTimer(deps_.clock())); });
  }
  if (std::exchange(told_following_, lease_.follows()) != lease_.follows() && lease_.follows()) {
    deps_.on_following(lease_.holder());
  }
  if (lease_.state() == Lease::State::kLeft && on_left_) std::exchange(on_left_, nullptr)();
}

void Election::Resign(std::shared_ptr<const Tenure> tenure, absl::Duration pause) {
  strand_->Post([this, tenure = std::move(tenure), pause] {
    if (tenure_ != tenure || tenure == nullptr) return;
    EndTenure();
    Carry(lease_.Resign(pause, deps_.clock()));
  });
}

void Election::Leave() {
  std::promise<void> left;
  const bool posted = strand_->Post([this, &left] {
    on_left_ = [&left] { left.set_value(); };
    EndTenure();
    Carry(lease_.Leave(deps_.clock()));
  });
  if (posted) left.get_future().wait();
}

}  // namespace varpulis::coordinator
