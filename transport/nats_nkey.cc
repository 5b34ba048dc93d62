#include "transport/nats_nkey.h"

#include <openssl/evp.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace varpulis::transport {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr uint8_t kUserPrefix = 20 << 3;   // 'U'
constexpr size_t kSeedBytes = 2 + 32 + 2;  // two prefixes, the secret, CRC-16

std::string Base32(absl::string_view bytes) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<uint8_t>(byte);
    count += 8;
    while (count >= 5) {
      count -= 5;
      text += kAlphabet[(bits >> count) & 31];
    }
  }
  if (count > 0) text += kAlphabet[(bits << (5 - count)) & 31];
  return text;
}

std::optional<std::string> FromBase32(absl::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const absl::string_view alphabet(kAlphabet);
    const size_t digit = alphabet.find(c);
    if (digit == absl::string_view::npos) return std::nullopt;
    bits = (bits << 5) | static_cast<uint32_t>(digit);
    count += 5;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>((bits >> count) & 0xff);
    }
  }
  return bytes;
}

uint16_t Crc16(absl::string_view bytes) {
  uint16_t crc = 0;
  for (const char byte : bytes) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<uint8_t>(byte) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc;
}

}  // namespace

absl::StatusOr<std::string> PublicKeyOfSeed(absl::string_view seed) {
  const std::optional<std::string> raw = FromBase32(seed);
  if (!raw.has_value() || raw->size() != kSeedBytes || !absl::StartsWith(seed, "SU")) {
    return absl::InvalidArgumentError("not the seed of a user nkey (SU…)");
  }
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                   reinterpret_cast<const uint8_t*>(raw->data()) + 2, 32),
      EVP_PKEY_free);
  uint8_t public_key[32];
  size_t size = sizeof(public_key);
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), public_key, &size) != 1) {
    return absl::InvalidArgumentError("not an Ed25519 seed");
  }
  std::string bytes(1, static_cast<char>(kUserPrefix));
  bytes.append(reinterpret_cast<const char*>(public_key), size);
  const uint16_t crc = Crc16(bytes);
  bytes += static_cast<char>(crc & 0xff);
  bytes += static_cast<char>(crc >> 8);
  return Base32(bytes);
}

absl::StatusOr<std::string> PublicKeyOfSeedFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read the nkey seed file ", path));
  std::string line;
  while (std::getline(file, line)) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (absl::StrContains(text, "BEGIN NATS USER JWT")) {  // nats.c would take the JWT for the seed
      return absl::InvalidArgumentError(absl::StrCat(
          path, " holds a JWT as well as a seed: it is a credentials file, no nkey seed file"));
    }
    if (!absl::StartsWith(text, "SU")) continue;
    absl::StatusOr<std::string> key = PublicKeyOfSeed(text);
    if (key.ok()) return key;
  }
  return absl::InvalidArgumentError(absl::StrCat(path, " holds no seed of a user nkey"));
}

}  // namespace varpulis::transport
