#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace varpulis::testing {

// A new identity as NATS knows them: an Ed25519 pair in the spelling of `nk -gen`. Written without
// transport/nats_nkey, so that a broker that takes it says something about that code too.
class Nkey {
 public:
  enum class Kind { kOperator, kAccount, kUser };
  explicit Nkey(Kind kind);

  const std::string& public_key() const { return public_key_; }  // O…, A… or U…
  const std::string& seed() const { return seed_; }              // SO…, SA… or SU…
  std::string Sign(absl::string_view text) const;

 private:
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::string public_key_, seed_;
};

// The JWTs that `nsc` makes: a chain of trust from an operator, whom the broker's configuration
// names, over an account to a user, each signed by the one before.
std::string OperatorJwt(const Nkey& self);
std::string AccountJwt(const Nkey& issuer, const Nkey& account);
std::string UserJwt(const Nkey& issuer, const Nkey& user);
// What stands in a .creds file.
std::string Credentials(absl::string_view user_jwt, const Nkey& user);

}  // namespace varpulis::testing
