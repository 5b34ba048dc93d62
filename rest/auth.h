#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace varpulis::rest {

// Each role may do what the ones before it may.
enum class Role { kViewer = 1, kOperator, kAdmin };

enum class Access { kGranted, kUnknownKey, kTooWeak };

// The API keys of one process, and what each may do. Immutable value; keys are kept as SHA-256
// digests and compared in constant time over all entries, so that neither time nor memory tells
// about them.
class ApiKeys {
 public:
  // No key is asked for; everyone is Admin.
  ApiKeys() = default;
  // `key` is Admin; empty: open.
  explicit ApiKeys(absl::string_view key);
  // {"keys":[{"key":…,"role":…,"name":…?}]}; roles viewer/read/readonly, operator/write/deploy,
  // admin/root/superadmin. INVALID_ARGUMENT names the entry, never its key; an empty list is
  // refused.
  static absl::StatusOr<ApiKeys> FromFile(const std::string& path);
  static absl::StatusOr<ApiKeys> FromJson(absl::string_view json);

  bool open() const { return entries_.empty(); }
  Access Check(std::optional<absl::string_view> key, Role needed) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  struct Entry {
    Digest digest;
    Role role;
  };
  static Digest DigestOf(absl::string_view key);

  std::vector<Entry> entries_;
};

}  // namespace varpulis::rest
