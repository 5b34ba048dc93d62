#include "cli/http.h"

#include "absl/strings/str_split.h"
#include "glog/logging.h"

#include "cli/broker.h"
#include "cli/flags.h"
#include "rest/coordinator_routes.h"

namespace varpulis::cli {

absl::StatusOr<rest::ApiKeys> ApiKeysFromFlags() {
  if (!FLAGS_api_keys.empty()) return rest::ApiKeys::FromFile(FLAGS_api_keys);
  return rest::ApiKeys(FLAGS_api_key);
}

rest::HttpOptions HttpOptionsFromFlags() {
  rest::HttpOptions options;
  options.bind = FLAGS_bind;
  options.port = static_cast<uint16_t>(FLAGS_port);
  options.cors_origins = absl::StrSplit(FLAGS_cors_origins, ',', absl::SkipWhitespace());
  return options;
}

absl::StatusOr<std::unique_ptr<rest::HttpServer>> StartShim(transport::NatsConnection& connection,
                                                            const transport::Subjects& subjects,
                                                            const rest::ApiKeys& keys) {
  rest::CoordinatorShimOptions shim;
  if (!FLAGS_nats_advertise.empty()) shim.advertised_urls = AdvertisedUrls(connection);
  return rest::HttpServer::Start(HttpOptionsFromFlags(),
                                 rest::CoordinatorRoutes(connection, subjects, keys, shim));
}

int ExitStatus(const absl::Status& status) {
  if (status.ok()) return 0;
  LOG(ERROR) << status.message();
  return 1;
}

}  // namespace varpulis::cli
