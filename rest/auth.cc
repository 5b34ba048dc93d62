#include "rest/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

#include "base/status_macros.h"

namespace varpulis::rest {
namespace {

std::optional<Role> RoleOf(absl::string_view text) {
  const std::string role = absl::AsciiStrToLower(text);
  if (role == "viewer" || role == "read" || role == "readonly") return Role::kViewer;
  if (role == "operator" || role == "write" || role == "deploy") return Role::kOperator;
  if (role == "admin" || role == "root" || role == "superadmin") return Role::kAdmin;
  return std::nullopt;
}

// The text under `key`, or an error that names the entry and not what it holds.
absl::StatusOr<std::string> Text(const google::protobuf::Struct& entry, const char* key) {
  const auto found = entry.fields().find(key);
  if (found == entry.fields().end()) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": missing"));
  }
  if (found->second.kind_case() != google::protobuf::Value::kStringValue ||
      found->second.string_value().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(key, ": expected a text that is not empty"));
  }
  return found->second.string_value();
}

}  // namespace

ApiKeys::Digest ApiKeys::DigestOf(absl::string_view key) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

ApiKeys::ApiKeys(absl::string_view key) {
  if (!key.empty()) entries_.push_back({DigestOf(key), Role::kAdmin});
}

absl::StatusOr<ApiKeys> ApiKeys::FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the API key file ", path));
  std::ostringstream text;
  text << file.rdbuf();
  ASSIGN_OR_RETURN(ApiKeys keys, FromJson(text.str()), Annotate(path));
  return keys;
}

absl::StatusOr<ApiKeys> ApiKeys::FromJson(absl::string_view json) {
  google::protobuf::Struct document;
  // The parser's own message quotes the text, keys included, so it is not passed on.
  if (!google::protobuf::util::JsonStringToMessage(std::string(json), &document).ok()) {
    return absl::InvalidArgumentError("not a JSON object");
  }
  const auto list = document.fields().find("keys");
  if (list == document.fields().end() ||
      list->second.kind_case() != google::protobuf::Value::kListValue) {
    return absl::InvalidArgumentError("keys: expected an array");
  }
  if (list->second.list_value().values().empty()) {
    return absl::InvalidArgumentError("keys: empty; without a key nobody could get in");
  }
  ApiKeys keys;
  int index = 0;
  for (const google::protobuf::Value& item : list->second.list_value().values()) {
    const std::string where = absl::StrCat("keys[", index++, "]");
    if (item.kind_case() != google::protobuf::Value::kStructValue) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": expected an object"));
    }
    for (const auto& [name, unused] : item.struct_value().fields()) {
      if (name != "key" && name != "role" && name != "name") {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ": only key, role and name are known here"));
      }
    }
    ASSIGN_OR_RETURN(const std::string key, Text(item.struct_value(), "key"), Annotate(where));
    ASSIGN_OR_RETURN(const std::string role, Text(item.struct_value(), "role"), Annotate(where));
    const std::optional<Role> known = RoleOf(role);
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".role: expected viewer, operator or admin"));
    }
    keys.entries_.push_back({DigestOf(key), *known});
  }
  return keys;
}

Access ApiKeys::Check(std::optional<absl::string_view> key, Role needed) const {
  if (open()) return Access::kGranted;
  if (!key) return Access::kUnknownKey;
  const Digest digest = DigestOf(*key);
  // Every entry is looked at, found or not, and the strongest match counts.
  int role = 0;
  for (const Entry& entry : entries_) {
    const int differs = CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size());
    const int candidate = differs == 0 ? static_cast<int>(entry.role) : 0;
    role = candidate > role ? candidate : role;
  }
  if (role == 0) return Access::kUnknownKey;
  return role >= static_cast<int>(needed) ? Access::kGranted : Access::kTooWeak;
}

}  // namespace varpulis::rest
