#include "coordinator_model.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::simulation {

using coordinator::Lease;
using coordinator::LeaseEntry;
using coordinator::Tenure;

namespace {

constexpr absl::Duration kPauseAfterResigning = absl::Milliseconds(500);

}  // namespace

void CoordinatorModel::OnStart() {
  nonce_ = absl::StrCat(name(), ".", life());
  lease_.emplace(Lease::Policy(), nonce_, [this] { return site_.random.Unit(); });
  Carry(lease_->Start(Boot()));
}

void CoordinatorModel::OnCrash() {
  ++office_number_;
  ++timer_;
  office_.reset();
  tenure_.reset();
  lease_.reset();
}

void CoordinatorModel::OnConnection(bool connected) {
  if (office_ != nullptr) office_->OnConnection(connected);
  if (!connected) return;
  const absl::StatusOr<LeaseEntry> entry = site_.lease.Get();  // the watch begins again
  if (entry.ok()) Carry(lease_->OnHeard(*entry, Boot()));
}

void CoordinatorModel::OnLeaseHeard(const std::optional<LeaseEntry>& entry) {
  Carry(lease_->OnHeard(entry, Boot()));
}

void CoordinatorModel::EndTenure() {
  if (tenure_ != nullptr) tenure_->End();
  tenure_ = nullptr;
}

void CoordinatorModel::Carry(const Lease::Actions& actions) {
  if (actions.lost.has_value() && tenure_ != nullptr) {
    ++site_.counters.leases_lost;
    EndTenure();
    EndOffice(absl::AbortedError(*actions.lost));
  }
  if (actions.elected) tenure_ = std::make_shared<Tenure>([this] { return Boot(); });
  if (lease_->leads() && tenure_ != nullptr) tenure_->ExtendTo(lease_->valid_until());
  if (actions.write.has_value()) {
    const auto [sending, expected] = *actions.write;
    site_.network.AskBroker(
        *this,
        [this, entry = LeaseEntry{name(), nonce_, sending, 0}, sending = sending,
         expected = expected]() -> std::function<void()> {
          return [this, sending, written = site_.lease.Write(entry, expected)] {
            Carry(lease_->OnWritten(sending, written, Boot()));
          };
        },
        /*in_order=*/false);
  }
  if (actions.read.has_value()) {
    site_.network.AskBroker(
        *this,
        [this, read = *actions.read]() -> std::function<void()> {
          return [this, read, entry = site_.lease.Get()] {
            Carry(lease_->OnRead(read, entry, Boot()));
          };
        },
        /*in_order=*/false);
  }
  if (actions.remove.has_value()) {
    site_.network.AskBroker(
        *this,
        [this, revision = *actions.remove]() -> std::function<void()> {
          site_.lease.Remove(revision);
          return [this] { Carry(lease_->OnRemoved(Boot())); };
        },
        /*in_order=*/false);
  }
  if (actions.wake_in.has_value()) {
    After(*actions.wake_in, [this, timer = ++timer_] {
      if (timer == timer_) Carry(lease_->OnTimer(Boot()));
    });
  }
  if (actions.elected) BeginOffice();
}

void CoordinatorModel::BeginOffice() {
  ++site_.counters.elections;
  site_.Note("elected", nonce_);
  const uint64_t number = ++office_number_;
  office_ = std::make_shared<Office>(
      site_, *this,
      Office::Deps{.nonce = nonce_,
                   .tenure = tenure_,
                   .on_started =
                       [this, number](const absl::Status& status) {
                         if (number != office_number_ || status.ok()) return;
                         After(absl::ZeroDuration(), [this, number, status] {
                           if (number != office_number_) return;
                           EndOffice(status);
                           Resign();
                         });
                       },
                   .on_stood_down =
                       [this, number] {
                         After(absl::ZeroDuration(), [this, number] {
                           if (number != office_number_) return;
                           EndOffice(absl::AbortedError("stood down"));
                           Resign();
                         });
                       }});
  office_->Start();
}

void CoordinatorModel::EndOffice(const absl::Status& why) {
  ++office_number_;
  const std::shared_ptr<Office> office = std::move(office_);
  if (office != nullptr) office->StandDown(why);
}

void CoordinatorModel::Resign() {
  if (tenure_ == nullptr) return;
  EndTenure();
  Carry(lease_->Resign(kPauseAfterResigning, Boot()));
}

}  // namespace varpulis::simulation
