#include "transport/nats_status.h"

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace varpulis::transport {
namespace {

class NatsBacking : public InboundMessage::Backing {
 public:
  explicit NatsBacking(natsMsg* message) : message_(message) {}
  ~NatsBacking() override { natsMsg_Destroy(message_); }

  absl::string_view subject() const override { return natsMsg_GetSubject(message_); }
  absl::string_view reply_to() const override {
    const char* reply = natsMsg_GetReply(message_);
    return reply == nullptr ? absl::string_view() : absl::string_view(reply);
  }
  absl::string_view payload() const override {
    return {natsMsg_GetData(message_), static_cast<size_t>(natsMsg_GetDataLength(message_))};
  }
  std::optional<std::string> Header(const std::string& name) const override {
    const char* value = nullptr;
    if (natsMsgHeader_Get(message_, name.c_str(), &value) != NATS_OK) return std::nullopt;
    return std::string(value);
  }

 private:
  natsMsg* const message_;
};

absl::Status CheckSubject(absl::string_view subject, bool wildcards) {
  bool token_begins = true;
  for (size_t i = 0; i < subject.size(); ++i) {
    const char c = subject[i];
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') {
      return absl::InvalidArgumentError(
          absl::StrCat("a subject has no blanks or control characters: \"", subject, "\""));
    }
    if (c == '.' && token_begins) break;
    if (!wildcards && token_begins && (c == '*' || c == '>') &&
        (i + 1 == subject.size() || subject[i + 1] == '.')) {
      return absl::InvalidArgumentError(
          absl::StrCat("a message is sent to a subject without wildcards: \"", subject, "\""));
    }
    token_begins = c == '.';
  }
  if (token_begins || absl::StrContains(subject, "..")) {
    return absl::InvalidArgumentError(
        absl::StrCat("a subject has no empty tokens: \"", subject, "\""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FromNats(natsStatus status, absl::string_view action) {
  if (status == NATS_OK) return absl::OkStatus();
  const std::string text = absl::StrCat(action, ": ", natsStatus_GetText(status));
  switch (status) {
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_NOT_YET_CONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_DRAINING:
    case NATS_NO_SERVER:
    case NATS_NO_RESPONDERS:
    case NATS_IO_ERROR:
      return absl::UnavailableError(text);
    case NATS_INSUFFICIENT_BUFFER:  // the reconnect buffer, which has no room on purpose
      return absl::UnavailableError(absl::StrCat(action, ": not connected to the broker"));
    case NATS_TIMEOUT:
      return absl::DeadlineExceededError(text);
    case NATS_INVALID_SUBJECT:
    case NATS_INVALID_ARG:
    case NATS_INVALID_QUEUE_NAME:
    case NATS_ADDRESS_MISSING:
    case NATS_LINE_TOO_LONG:
      return absl::InvalidArgumentError(text);
    case NATS_MAX_PAYLOAD:
    case NATS_NO_MEMORY:
      return absl::ResourceExhaustedError(text);
    case NATS_CONNECTION_AUTH_FAILED:
      return absl::UnauthenticatedError(text);
    case NATS_NOT_PERMITTED:
      return absl::PermissionDeniedError(text);
    case NATS_NOT_FOUND:
      return absl::NotFoundError(text);
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_SSL_ERROR:
    case NATS_NO_SERVER_SUPPORT:
    case NATS_ILLEGAL_STATE:
      return absl::FailedPreconditionError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::Status FromNatsWithReason(natsStatus status, absl::string_view action) {
  absl::Status plain = FromNats(status, action);
  if (status != NATS_SSL_ERROR && status != NATS_ERR) return plain;  // others may quote a URL
  natsStatus last = NATS_OK;
  const char* const text = nats_GetLastError(&last);
  if (text == nullptr || last != status) return plain;
  absl::string_view reason = text;  // "(conn.c:733): SSL handshake error: …"
  const size_t place = reason.find("): ");
  if (place != absl::string_view::npos) reason.remove_prefix(place + 3);
  return {plain.code(), absl::StrCat(plain.message(), ": ", reason)};
}

std::string WithoutCredentials(absl::string_view url) {
  const size_t scheme_end = url.find("://");
  const size_t host = scheme_end == absl::string_view::npos ? 0 : scheme_end + 3;
  const size_t at = url.rfind('@');
  if (at == absl::string_view::npos || at < host) return std::string(url);
  return absl::StrCat(url.substr(0, host), url.substr(at + 1));
}

absl::Status CheckPublishSubject(absl::string_view subject) { return CheckSubject(subject, false); }
absl::Status CheckSubscribeSubject(absl::string_view subject) {
  return CheckSubject(subject, true);
}

absl::Status CheckHeaders(const Headers& headers) {
  for (const auto& [name, value] : headers) {
    bool bad = name.empty();
    for (const char c : name) bad |= c <= ' ' || c > '~' || c == ':';
    for (const char c : value) bad |= c == '\r' || c == '\n' || c == '\0';
    if (bad) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a header: \"", absl::CHexEscape(name), "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status PublishOn(natsConnection* connection, const OutgoingMessage& message) {
  const char* const subject = message.subject.c_str();
  const char* const reply = message.reply_to.empty() ? nullptr : message.reply_to.c_str();
  const char* const data = message.payload.data();
  const int size = static_cast<int>(message.payload.size());
  natsStatus status = NATS_OK;
  if (!message.headers.empty()) {
    natsMsg* wire = nullptr;
    status = natsMsg_Create(&wire, subject, reply, data, size);
    for (const auto& [name, value] : message.headers) {
      if (value.empty()) continue;  // 3.4.1 could not read any header of the message
      if (status == NATS_OK) status = natsMsgHeader_Add(wire, name.c_str(), value.c_str());
    }
    if (status == NATS_OK) status = natsConnection_PublishMsg(connection, wire);
    natsMsg_Destroy(wire);
  } else if (reply != nullptr) {
    status = natsConnection_PublishRequest(connection, subject, reply, data, size);
  } else {
    status = natsConnection_Publish(connection, subject, data, size);
  }
  if (status == NATS_OK) return absl::OkStatus();
  return FromNats(status, absl::StrCat("publishing to ", message.subject));
}

InboundMessage WrapMessage(natsMsg* message) {
  return InboundMessage(std::make_unique<NatsBacking>(message));
}

}  // namespace varpulis::transport
