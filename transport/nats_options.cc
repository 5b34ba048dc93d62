#include "transport/nats_options.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/nats_nkey.h"
#include "transport/nats_status.h"

namespace varpulis::transport {
namespace {

constexpr int kPendingMessages = 512 * 1024;  // per subscription, until SubscribeOptions say else
constexpr int kMaxPingsOut = 2;

int64_t Milliseconds(absl::Duration duration) {
  return std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, 3'600'000);
}

absl::Status SetBehaviour(const NatsOptions& options, natsOptions* out) {
  const int64_t jitter = absl::ToInt64Milliseconds(options.reconnect_jitter);
  for (const natsStatus status : {
           natsOptions_SetName(out, options.name.empty() ? "varpulis" : options.name.c_str()),
           natsOptions_SetTimeout(out, Milliseconds(options.connect_timeout)),
           natsOptions_SetMaxReconnect(out, -1),
           natsOptions_SetReconnectWait(out, Milliseconds(options.reconnect_wait)),
           natsOptions_SetReconnectJitter(out, jitter, jitter),
           natsOptions_SetReconnectBufSize(out, 0),
           natsOptions_SetPingInterval(out, Milliseconds(options.ping_interval)),
           natsOptions_SetMaxPingsOut(out, kMaxPingsOut),
           natsOptions_SetMaxPendingMsgs(out, kPendingMessages),
           natsOptions_SetSendAsap(out, true),
           natsOptions_UseGlobalMessageDelivery(out, true),
       }) {
    RETURN_IF_ERROR(FromNats(status, "setting connection options"));
  }
  return absl::OkStatus();
}

absl::Status SetServers(const NatsOptions& options, natsOptions* out) {
  if (options.urls.empty()) return absl::InvalidArgumentError("no broker URL");
  std::vector<const char*> servers;
  for (const std::string& url : options.urls) servers.push_back(url.c_str());
  return FromNats(natsOptions_SetServers(out, servers.data(), static_cast<int>(servers.size())),
                  "broker URL");
}

// nats.c would read it only when it connects, and then say "Error".
absl::Status CheckCredentialsFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the credentials file ", path));
  std::string line;
  while (std::getline(file, line)) {
    if (absl::StartsWith(absl::StripAsciiWhitespace(line), "SU")) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(path, " holds no JWT with the seed of its user"));
}

absl::Status SetCredentials(const NatsOptions& options, natsOptions* out) {
  if (!options.credentials_file.empty()) {
    RETURN_IF_ERROR(CheckCredentialsFile(options.credentials_file));
    RETURN_IF_ERROR(FromNats(
        natsOptions_SetUserCredentialsFromFiles(out, options.credentials_file.c_str(), nullptr),
        absl::StrCat("credentials file ", options.credentials_file)));
  }
  if (!options.nkey_seed_file.empty()) {
    ASSIGN_OR_RETURN(const std::string public_key, PublicKeyOfSeedFile(options.nkey_seed_file));
    RETURN_IF_ERROR(FromNats(
        natsOptions_SetNKeyFromSeed(out, public_key.c_str(), options.nkey_seed_file.c_str()),
        absl::StrCat("nkey seed file ", options.nkey_seed_file)));
  }
  if (!options.user.empty()) {
    RETURN_IF_ERROR(FromNats(
        natsOptions_SetUserInfo(out, options.user.c_str(), options.password.c_str()), "user"));
  }
  if (!options.token.empty()) {
    RETURN_IF_ERROR(FromNats(natsOptions_SetToken(out, options.token.c_str()), "token"));
  }
  return absl::OkStatus();
}

absl::Status CheckTlsFile(natsStatus status, absl::string_view option) {
  if (status == NATS_OK) return absl::OkStatus();
  return absl::InvalidArgumentError(FromNatsWithReason(status, option).message());
}

absl::Status SetTls(const NatsOptions& options, natsOptions* out) {
  if (!UsesTls(options)) return absl::OkStatus();
  RETURN_IF_ERROR(FromNats(natsOptions_SetSecure(out, true), "TLS"));
  if (!options.tls_ca_file.empty()) {
    RETURN_IF_ERROR(
        CheckTlsFile(natsOptions_LoadCATrustedCertificates(out, options.tls_ca_file.c_str()),
                     absl::StrCat("TLS CA file ", options.tls_ca_file)));
  }
  if (!options.tls_cert_file.empty()) {
    RETURN_IF_ERROR(
        CheckTlsFile(natsOptions_LoadCertificatesChain(out, options.tls_cert_file.c_str(),
                                                       options.tls_key_file.c_str()),
                     absl::StrCat("TLS certificate ", options.tls_cert_file)));
  }
  return absl::OkStatus();
}

}  // namespace

bool UsesTls(const NatsOptions& options) {
  bool tls = options.tls || !options.tls_ca_file.empty() || !options.tls_cert_file.empty();
  for (const std::string& url : options.urls) tls |= absl::StartsWith(url, "tls://");
  return tls;
}

absl::StatusOr<NatsOptionsPtr> MakeNatsOptions(const NatsOptions& options) {
  natsOptions* raw = nullptr;
  RETURN_IF_ERROR(FromNats(natsOptions_Create(&raw), "creating connection options"));
  NatsOptionsPtr out(raw);
  RETURN_IF_ERROR(SetServers(options, raw));
  RETURN_IF_ERROR(SetBehaviour(options, raw));
  RETURN_IF_ERROR(SetCredentials(options, raw));
  RETURN_IF_ERROR(SetTls(options, raw));
  return out;
}

}  // namespace varpulis::transport
