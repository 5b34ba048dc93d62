#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "transport/blob_store.h"
#include "transport/bus.h"
#include "transport/event_streams.h"
#include "transport/key_value.h"
#include "transport/record_log.h"

namespace varpulis::transport {

// Where the broker is and who we are. `urls` may carry user:password; they are never logged.
struct NatsOptions {
  std::vector<std::string> urls = {"nats://127.0.0.1:4222"};
  std::string name;  // shown by the broker, e.g. "varpulis-worker-w3"
  std::string user, password, token;
  std::string credentials_file;  // .creds (JWT and nkey)
  std::string nkey_seed_file;
  std::string tls_ca_file, tls_cert_file, tls_key_file;
  bool tls = false;          // also set by a tls:// URL
  std::string inbox_prefix;  // empty: _INBOX
  absl::Duration connect_timeout = absl::Seconds(2);
  absl::Duration reconnect_wait =
      absl::Milliseconds(50);  // between attempts, plus jitter; for ever
  absl::Duration reconnect_jitter = absl::Milliseconds(50);
  absl::Duration ping_interval = absl::Seconds(5);
};

// Fills what the environment gives and `options` leaves empty: NATS_URL (comma separated),
// NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY, and
// the nats context named by NATS_CONTEXT or selected in ~/.config/nats/context.txt (ADR-21).
// Explicit options win, then variables, then the context. A context named but unreadable is an
// error.
absl::StatusOr<NatsOptions> WithEnvironment(NatsOptions options, bool urls_given);

// The Bus on nats.c. One connection driven by an epoll loop of our own through
// natsOptions_SetEventLoop, with SendAsap: replies leave at once and bursts are still written
// together. Reconnects for ever with jitter; while disconnected nothing is buffered. Destruction
// drains: subscriptions first, then what is still to be written, then the socket. Thread-safe.
//
// Threads: the loop moves bytes; a pool of four, shared by all connections of the process, runs the
// handlers of subscriptions; replies to requests have a thread of their own, so that a request can
// be answered while every handler is busy; one thread watches deadlines; connection listeners run
// on nats.c's callback thread. Publish waits for at most 5 s when 16 MiB are still to be written.
class NatsConnection : public Bus {
 public:
  // Connects, or fails after connect_timeout per URL with UNAVAILABLE and the reason,
  // UNAUTHENTICATED when the broker refuses the credentials, FAILED_PRECONDITION when TLS does not
  // come about (the broker's certificate, or its lack of TLS), INVALID_ARGUMENT or NOT_FOUND for
  // options that cannot work.
  static absl::StatusOr<std::unique_ptr<NatsConnection>> Connect(NatsOptions options);

  // JetStream. FAILED_PRECONDITION with "JetStream is not enabled …" when the broker has none.
  virtual absl::StatusOr<std::unique_ptr<KeyValue>> OpenKeyValue(KeyValueOptions options) = 0;
  virtual absl::StatusOr<std::unique_ptr<RecordLog>> OpenRecordLog(KeyValueOptions options) = 0;
  // Asks nothing of the broker yet: without JetStream each operation says so.
  virtual std::unique_ptr<BlobStore> OpenBlobStore(BlobStoreOptions options) = 0;
  virtual std::unique_ptr<EventStreams> OpenEventStreams() = 0;  // likewise

  virtual std::string connected_url() const = 0;  // without credentials
  virtual std::string server_id() const = 0;
  // URLs under which others reach the broker: configured plus discovered, without credentials.
  virtual std::vector<std::string> known_urls() const = 0;
  virtual uint64_t reconnects() const = 0;
  // How often a subscription here, or this connection at the broker, was too slow.
  virtual uint64_t slow_consumer_events() const = 0;
};

// A log in memory, for a broker without JetStream: same contract, nothing survives.
std::unique_ptr<RecordLog> NewVolatileRecordLog();

}  // namespace varpulis::transport
