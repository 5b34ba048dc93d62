#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace varpulis::transport {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Header names of this project and of NATS, spelled here only.
inline constexpr char kContentTypeHeader[] = "Content-Type";
inline constexpr char kContentTypeJson[] = "application/json";
inline constexpr char kContentTypeProtobuf[] = "application/protobuf";
inline constexpr char kServiceErrorHeader[] = "Nats-Service-Error";
inline constexpr char kServiceErrorCodeHeader[] = "Nats-Service-Error-Code";
inline constexpr char kRequestIdHeader[] = "Varpulis-Request-Id";  // idempotency of mutating calls
inline constexpr char kTimeoutHeader[] = "Varpulis-Timeout-Ms";    // how long the caller waits
inline constexpr char kChunkHeader[] = "Varpulis-Chunk";           // "{id} {index} {count}"

// A message to send. Value type.
struct OutgoingMessage {
  std::string subject;
  std::string payload;
  Headers headers;
  std::string reply_to;  // empty: none
};

// A message received. Move-only; the views live as long as the object.
class InboundMessage {
 public:
  // Where the bytes are: a natsMsg, or plain strings in tests.
  class Backing {
   public:
    virtual ~Backing() = default;
    virtual absl::string_view subject() const = 0;
    virtual absl::string_view reply_to() const = 0;
    virtual absl::string_view payload() const = 0;
    virtual std::optional<std::string> Header(const std::string& name) const = 0;
  };

  explicit InboundMessage(std::unique_ptr<Backing> backing) : backing_(std::move(backing)) {}
  // A message made of strings: for tests and for reassembled chunks.
  static InboundMessage FromParts(OutgoingMessage parts);

  absl::string_view subject() const { return backing_->subject(); }
  absl::string_view reply_to() const { return backing_->reply_to(); }  // empty: none expected
  absl::string_view payload() const { return backing_->payload(); }
  // First value of a header, names compared as sent.
  std::optional<std::string> Header(const std::string& name) const {
    return backing_->Header(name);
  }

 private:
  std::unique_ptr<Backing> backing_;
};

}  // namespace varpulis::transport
