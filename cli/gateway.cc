// varpulis gateway: the coordinator's HTTP API alone, anywhere near a broker.

#include "glog/logging.h"

#include "base/ids.h"
#include "base/status_macros.h"
#include "cli/broker.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/http.h"
#include "cli/shutdown.h"

namespace varpulis::cli {
namespace {

absl::Status Run() {
  RETURN_IF_ERROR(transport::ValidateSubjectPrefix(FLAGS_subject_prefix));
  ASSIGN_OR_RETURN(const rest::ApiKeys keys, ApiKeysFromFlags());
  ASSIGN_OR_RETURN(const std::unique_ptr<transport::NatsConnection> connection,
                   ConnectToBroker("varpulis-gateway-" + NewUuid().substr(0, 8)),
                   Annotate("connecting to the broker"));
  ASSIGN_OR_RETURN(const std::unique_ptr<rest::HttpServer> http,
                   StartShim(*connection, transport::Subjects(FLAGS_subject_prefix), keys));
  LOG(INFO) << "gateway ready: " << HttpAddress(FLAGS_bind, http->port()) << ", broker "
            << connection->connected_url();
  absl::Status reason = WaitForShutdown();
  http->Stop(kShutdownGrace);
  return reason;
}

}  // namespace

int RunGateway() { return ExitStatus(Run()); }

}  // namespace varpulis::cli
