#pragma once

#include <nats/nats.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "transport/message.h"

namespace varpulis::transport {

// What a nats.c call reported, as a Status whose code says what the caller can do. OK stays OK.
absl::Status FromNats(natsStatus status, absl::string_view action);

// Likewise, with what nats.c says beyond the code, for a call of this thread that reads
// certificates or logs in. Without credentials.
absl::Status FromNatsWithReason(natsStatus status, absl::string_view action);

// `url` without "user:password@".
std::string WithoutCredentials(absl::string_view url);

// INVALID_ARGUMENT unless `subject` can be published to (no wildcards) or subscribed to.
// nats.c does not look: a blank in a subject ends the connection.
absl::Status CheckPublishSubject(absl::string_view subject);
absl::Status CheckSubscribeSubject(absl::string_view subject);
// INVALID_ARGUMENT for line breaks and other characters that would forge headers.
absl::Status CheckHeaders(const Headers& headers);

// Hands `message` to the connection's writer. Headers without a value are left out: nats.c 3.4.1
// writes them but cannot read a message that has one.
absl::Status PublishOn(natsConnection* connection, const OutgoingMessage& message);

// Takes ownership of `message`.
InboundMessage WrapMessage(natsMsg* message);

}  // namespace varpulis::transport
