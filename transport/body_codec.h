#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

#include "transport/message.h"

namespace varpulis::transport {

// How a request or reply is written down.
enum class BodyEncoding { kProtobuf, kJson };

// JSON when Content-Type says so, or when it says nothing of protobuf and the payload begins with
// '{' (no message of ours begins so: that byte opens a protobuf group).
BodyEncoding EncodingOf(const InboundMessage& message);

// INVALID_ARGUMENT (invalid_request) when the payload is not such a message. An empty payload is an
// empty message.
absl::Status DecodeBody(const InboundMessage& message, google::protobuf::Message* body);

std::string EncodeBody(const google::protobuf::Message& body, BodyEncoding encoding);

// The headers of an encoded body: a Content-Type for JSON, none for protobuf.
Headers HeadersOf(BodyEncoding encoding);

}  // namespace varpulis::transport
