#include "transport/body_codec.h"

#include <limits>

#include "absl/strings/match.h"

#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::transport {
namespace {

// inject_batch takes this much text over HTTP, and so over NATS.
constexpr int kMaxTextBytes = 16 << 20;

}  // namespace

BodyEncoding EncodingOf(const InboundMessage& message) {
  const std::string type = message.Header(kContentTypeHeader).value_or("");
  if (absl::StartsWithIgnoreCase(type, kContentTypeJson)) return BodyEncoding::kJson;
  if (absl::StrContains(type, "protobuf")) return BodyEncoding::kProtobuf;
  return absl::StartsWith(message.payload(), "{") ? BodyEncoding::kJson : BodyEncoding::kProtobuf;
}

absl::Status DecodeBody(const InboundMessage& message, google::protobuf::Message* body) {
  body->Clear();
  const absl::string_view payload = message.payload();
  if (EncodingOf(message) == BodyEncoding::kJson) {
    JsonReadOptions options;
    options.max_text_bytes = kMaxTextBytes;
    return FromJson(payload.empty() ? "{}" : payload, body, options);
  }
  if (payload.size() <= std::numeric_limits<int>::max() &&
      body->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::OkStatus();
  }
  body->Clear();
  return MakeError("invalid_request",
                   "the body is not a " + body->GetTypeName() + ", neither protobuf nor JSON");
}

std::string EncodeBody(const google::protobuf::Message& body, BodyEncoding encoding) {
  return encoding == BodyEncoding::kJson ? ToJson(body) : body.SerializeAsString();
}

Headers HeadersOf(BodyEncoding encoding) {
  if (encoding == BodyEncoding::kProtobuf) return {};
  return {{kContentTypeHeader, kContentTypeJson}};
}

}  // namespace varpulis::transport
