#include "transport/bus.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace varpulis::transport {
namespace {

constexpr char kNoRespondersPayload[] = "varpulis/no-responders";

}  // namespace

absl::Status NoRespondersError(absl::string_view subject) {
  absl::Status status = absl::UnavailableError(absl::StrCat("nobody serves ", subject));
  status.SetPayload(kNoRespondersPayload, absl::Cord());
  return status;
}

bool IsNoResponders(const absl::Status& status) {
  return status.GetPayload(kNoRespondersPayload).has_value();
}

}  // namespace varpulis::transport
