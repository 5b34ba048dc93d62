#include "coordinator/coordinator.h"

#include <utility>

#include "base/status_macros.h"
#include "coordinator/runtime.h"

namespace varpulis::coordinator {

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(CoordinatorOptions options,
                                                                Deps deps) {
  auto runtime = std::make_unique<Runtime>(std::move(options), std::move(deps));
  RETURN_IF_ERROR(runtime->Start(), Annotate("starting the coordinator"));
  return std::unique_ptr<Coordinator>(new Coordinator(std::move(runtime)));
}

Coordinator::Coordinator(std::unique_ptr<Runtime> runtime) : runtime_(std::move(runtime)) {}
Coordinator::~Coordinator() = default;

uint64_t Coordinator::leader_epoch() const { return runtime_->leader_epoch(); }

}  // namespace varpulis::coordinator
