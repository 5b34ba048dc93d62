#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "rapidjson/document.h"
#include "transport/nats_connection.h"

namespace varpulis::transport {
namespace {

namespace fs = std::filesystem;

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> SplitUrls(absl::string_view list) {
  std::vector<std::string> urls;
  for (absl::string_view url : absl::StrSplit(list, ',')) {
    url = absl::StripAsciiWhitespace(url);
    if (!url.empty()) urls.emplace_back(url);
  }
  return urls;
}

void FillIn(std::string& option, std::string value) {
  if (option.empty()) option = std::move(value);
}

// What a variable or a context may give.
struct Found {
  std::string url, user, password, token, creds, nkey, ca, cert, key, inbox_prefix;
};

// Whether the connection's identity is given: a user's password is not mixed with another's token.
bool HasIdentity(const NatsOptions& options) {
  return !options.user.empty() || !options.token.empty() || !options.credentials_file.empty() ||
         !options.nkey_seed_file.empty();
}

void Apply(Found found, bool* urls_given, NatsOptions* options) {
  if (!*urls_given && !found.url.empty()) {
    options->urls = SplitUrls(found.url);
    *urls_given = true;
  }
  if (!HasIdentity(*options)) {
    options->user = std::move(found.user);
    FillIn(options->password, std::move(found.password));
    options->token = std::move(found.token);
    options->credentials_file = std::move(found.creds);
    options->nkey_seed_file = std::move(found.nkey);
  }
  FillIn(options->tls_ca_file, std::move(found.ca));
  if (options->tls_cert_file.empty() && options->tls_key_file.empty()) {
    options->tls_cert_file = std::move(found.cert);
    options->tls_key_file = std::move(found.key);
  }
  FillIn(options->inbox_prefix, std::move(found.inbox_prefix));
}

fs::path ContextFolder() {
  const std::string config = Variable("XDG_CONFIG_HOME");
  const fs::path base = config.empty() ? fs::path(Variable("HOME")) / ".config" : fs::path(config);
  return base / "nats";
}

std::string SelectedContext() {
  std::ifstream file(ContextFolder() / "context.txt");
  std::string name;
  std::getline(file, name);
  return std::string(absl::StripAsciiWhitespace(name));
}

absl::StatusOr<Found> ReadContext(const std::string& name) {
  if (name.find('/') != std::string::npos || name == "..") {
    return absl::InvalidArgumentError(absl::StrCat("not the name of a nats context: ", name));
  }
  const fs::path path = ContextFolder() / "context" / absl::StrCat(name, ".json");
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat("nats context \"", name, "\": cannot read ", path.string()));
  }
  std::stringstream text;
  text << file.rdbuf();
  rapidjson::Document document;
  document.Parse(text.str().c_str());
  if (document.HasParseError() || !document.IsObject()) {
    return absl::InvalidArgumentError(
        absl::StrCat("nats context \"", name, "\": ", path.string(), " is not a JSON object"));
  }
  Found found;
  for (const auto& [key, target] : std::initializer_list<std::pair<const char*, std::string*>>{
           {"url", &found.url},
           {"user", &found.user},
           {"password", &found.password},
           {"token", &found.token},
           {"creds", &found.creds},
           {"nkey", &found.nkey},
           {"ca", &found.ca},
           {"cert", &found.cert},
           {"key", &found.key},
           {"inbox_prefix", &found.inbox_prefix}}) {
    const auto member = std::as_const(document).FindMember(key);
    if (member == std::as_const(document).MemberEnd() || member->value.IsNull()) continue;
    if (!member->value.IsString()) {
      return absl::InvalidArgumentError(
          absl::StrCat("nats context \"", name, "\": ", key, " is not a string"));
    }
    *target = member->value.GetString();
  }
  // A user without a password is a token in the nats command line tool.
  if (!found.user.empty() && found.password.empty() && found.token.empty()) {
    found.token = std::exchange(found.user, "");
  }
  return found;
}

}  // namespace

absl::StatusOr<NatsOptions> WithEnvironment(NatsOptions options, bool urls_given) {
  Found variables;
  variables.url = Variable("NATS_URL");
  variables.user = Variable("NATS_USER");
  variables.password = Variable("NATS_PASSWORD");
  variables.token = Variable("NATS_TOKEN");
  variables.creds = Variable("NATS_CREDS");
  variables.nkey = Variable("NATS_NKEY");
  variables.ca = Variable("NATS_CA");
  variables.cert = Variable("NATS_CERT");
  variables.key = Variable("NATS_KEY");
  Apply(std::move(variables), &urls_given, &options);

  std::string context = Variable("NATS_CONTEXT");
  if (context.empty()) context = SelectedContext();
  if (context.empty()) return options;
  ASSIGN_OR_RETURN(Found found, ReadContext(context));
  Apply(std::move(found), &urls_given, &options);
  return options;
}

}  // namespace varpulis::transport
