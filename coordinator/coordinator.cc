#include "coordinator/coordinator.h"

#include <future>
#include <utility>

#include "base/status_macros.h"
#include "coordinator/candidacy.h"
#include "coordinator/runtime.h"

namespace varpulis::coordinator {

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(CoordinatorOptions options,
                                                                Deps deps) {
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator());
  if (deps.open_lease_bucket) {
    absl::StatusOr<std::unique_ptr<transport::KeyValue>> bucket = deps.open_lease_bucket();
    if (bucket.ok()) {
      coordinator->candidacy_ =
          std::make_unique<Candidacy>(std::move(options), std::move(deps), *std::move(bucket));
      RETURN_IF_ERROR(coordinator->candidacy_->Settle(), Annotate("starting the coordinator"));
      return coordinator;
    }
    if (!absl::IsFailedPrecondition(bucket.status())) {
      return WithContext(bucket.status(), "starting the coordinator");
    }
  }
  std::promise<absl::Status> started;
  coordinator->alone_ = std::make_unique<Runtime>(std::move(options), std::move(deps));
  coordinator->alone_->Start(
      [&started](absl::Status status) { started.set_value(std::move(status)); });
  RETURN_IF_ERROR(started.get_future().get(), Annotate("starting the coordinator"));
  return coordinator;
}

Coordinator::Coordinator() = default;
Coordinator::~Coordinator() = default;

uint64_t Coordinator::leader_epoch() const {
  return candidacy_ != nullptr ? candidacy_->leader_epoch() : alone_->leader_epoch();
}

}  // namespace varpulis::coordinator
