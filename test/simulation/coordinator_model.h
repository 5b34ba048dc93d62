#pragma once

#include <memory>
#include <optional>
#include <string>

#include "coordinator/lease.h"
#include "coordinator/tenure.h"
#include "office.h"
#include "process.h"
#include "site.h"

namespace varpulis::simulation {

// A coordinator's process: competes for the lease (coordinator/election.cc) and has an office while
// it holds it (coordinator/candidacy.cc).
class CoordinatorModel : public Process {
 public:
  CoordinatorModel(Site& site, std::string name)
      : Process(site.scheduler, std::move(name)), site_(site) {}

  // Null: it follows, or is not ready to serve.
  Office* serving() const {
    return up() && office_ != nullptr && office_->serving() ? office_.get() : nullptr;
  }
  void OnLeaseHeard(const std::optional<coordinator::LeaseEntry>& entry);

 private:
  void OnStart() override;
  void OnCrash() override;
  void OnConnection(bool connected) override;

  void Carry(const coordinator::Lease::Actions& actions);
  void BeginOffice();
  void EndOffice(const absl::Status& why);
  void Resign();
  void EndTenure();

  Site& site_;
  std::string nonce_;
  std::optional<coordinator::Lease> lease_;
  std::shared_ptr<coordinator::Tenure> tenure_;
  std::shared_ptr<Office> office_;
  uint64_t office_number_ = 0;
  uint64_t timer_ = 0;
};

}  // namespace varpulis::simulation
