#include "test/support/nkeys.h"

#include <cstdint>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace varpulis::testing {
namespace {

constexpr uint8_t kSeedPrefix = 18 << 3;  // 'S'

uint8_t PrefixOf(Nkey::Kind kind) {
  switch (kind) {
    case Nkey::Kind::kOperator:
      return 14 << 3;  // 'O'
    case Nkey::Kind::kAccount:
      return 0;  // 'A'
    case Nkey::Kind::kUser:
      return 20 << 3;  // 'U'
  }
  std::abort();
}

// Base 32 of `bytes` and their CRC-16/XMODEM, without padding.
std::string Spell(std::string bytes) {
  unsigned crc = 0;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned>(static_cast<uint8_t>(byte)) << 8;
    for (int i = 0; i < 8; ++i) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  bytes += static_cast<char>(crc & 0xff);
  bytes += static_cast<char>(crc >> 8);
  std::string text;
  for (size_t bit = 0; bit < bytes.size() * 8; bit += 5) {
    unsigned digit = 0;
    for (size_t i = bit; i < bit + 5; ++i) {
      const unsigned byte = i / 8 < bytes.size() ? static_cast<uint8_t>(bytes[i / 8]) : 0;
      digit = (digit << 1) | ((byte >> (7 - i % 8)) & 1);
    }
    text += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[digit];
  }
  return text;
}

std::string MakeJwt(const Nkey& issuer, const Nkey& subject, absl::string_view nats_claim) {
  const std::string signed_part =
      absl::StrCat(absl::WebSafeBase64Escape(R"({"typ":"JWT","alg":"ed25519-nkey"})"), ".",
                   absl::WebSafeBase64Escape(absl::StrCat(
                       R"({"jti":"TEST","iat":)", absl::ToUnixSeconds(absl::Now()), R"(,"iss":")",
                       issuer.public_key(), R"(","name":"test","sub":")", subject.public_key(),
                       R"(","nats":)", nats_claim, "}")));
  return absl::StrCat(signed_part, ".", absl::WebSafeBase64Escape(issuer.Sign(signed_part)));
}

}  // namespace

Nkey::Nkey(Kind kind) : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free) {
  uint8_t secret[32];
  uint8_t open[32];
  size_t secret_size = sizeof(secret);
  size_t open_size = sizeof(open);
  if (key_ == nullptr || EVP_PKEY_get_raw_private_key(key_.get(), secret, &secret_size) != 1 ||
      EVP_PKEY_get_raw_public_key(key_.get(), open, &open_size) != 1) {
    std::abort();
  }
  const uint8_t prefix = PrefixOf(kind);
  public_key_ = Spell(absl::StrCat(std::string(1, static_cast<char>(prefix)),
                                   std::string(reinterpret_cast<char*>(open), open_size)));
  // Two prefixes of five bits each: "this is a seed", "of that kind".
  const char prefixes[] = {static_cast<char>(kSeedPrefix | (prefix >> 5)),
                           static_cast<char>((prefix & 31) << 3)};
  seed_ = Spell(absl::StrCat(std::string(prefixes, 2),
                             std::string(reinterpret_cast<char*>(secret), secret_size)));
}

std::string Nkey::Sign(absl::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  uint8_t signature[64];
  size_t size = sizeof(signature);
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature, &size, reinterpret_cast<const uint8_t*>(text.data()),
                     text.size()) != 1) {
    std::abort();
  }
  return std::string(reinterpret_cast<char*>(signature), size);
}

std::string OperatorJwt(const Nkey& self) {
  return MakeJwt(self, self, R"({"type":"operator","version":2})");
}

std::string AccountJwt(const Nkey& issuer, const Nkey& account) {
  return MakeJwt(issuer, account,
                 R"({"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,)"
                 R"("wildcards":true,"conn":-1,"leaf":-1},"type":"account","version":2})");
}

std::string UserJwt(const Nkey& issuer, const Nkey& user) {
  return MakeJwt(
      issuer, user,
      R"({"pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"type":"user","version":2})");
}

std::string Credentials(absl::string_view user_jwt, const Nkey& user) {
  return absl::StrCat("-----BEGIN NATS USER JWT-----\n", user_jwt,
                      "\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n",
                      user.seed(), "\n------END USER NKEY SEED------\n");
}

}  // namespace varpulis::testing
