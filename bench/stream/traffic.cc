#include "bench/stream/traffic.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "engine/runtime/columns_writer.h"
#include "glog/logging.h"
#include "proto/event.pb.h"
#include "transport/event_streams.h"

namespace varpulis::bench {
namespace {

using Clock = std::chrono::steady_clock;
using transport::InboundMessage;
using transport::NatsConnection;
using varpulis::v1::Event;
using varpulis::v1::EventBatch;

// On their way, so that neither the worker's queue nor one of nats.c's overflows.
constexpr uint64_t kMessagesUnderWay = 16'384;
constexpr uint64_t kEventsUnderWay = 65'536;
constexpr auto kPatience = std::chrono::seconds(10);
constexpr int kSensors = 100;
constexpr int kPayloads = 64;

int64_t Now() { return Clock::now().time_since_epoch().count(); }

std::unique_ptr<NatsConnection> Connect(const std::string& url) {
  transport::NatsOptions options;
  options.urls = {url};
  auto connection = NatsConnection::Connect(options);
  CHECK(connection.ok()) << connection.status();
  return *std::move(connection);
}

std::unique_ptr<transport::Subscription> Subscribe(NatsConnection& connection,
                                                   const std::string& subject,
                                                   transport::Bus::Handler handler) {
  transport::SubscribeOptions options;
  options.subject = subject;
  auto subscription = connection.Subscribe(options, std::move(handler));
  CHECK(subscription.ok()) << subscription.status();
  CHECK(connection.Flush(absl::Seconds(5)).ok());
  return *std::move(subscription);
}

Event MakeReading(uint32_t number) {
  Event event;
  event.set_event_type("Reading");
  event.set_timestamp_ns(int64_t{1'700'000'000'000'000'000} + number);
  auto* sensor = event.add_fields();
  sensor->set_name("sensor");
  sensor->mutable_value()->set_string_value(absl::StrCat("sensor-", number % kSensors));
  auto* celsius = event.add_fields();
  celsius->set_name("celsius");
  celsius->mutable_value()->set_float_value(20 + number % 64 / 4.0);
  auto* sent = event.add_fields();
  sent->set_name("sent");
  sent->mutable_value()->set_int_value(Now());
  return event;
}

std::string MakePayload(uint32_t first, uint32_t count) {
  EventBatch batch;
  if (count == 1) {
    *batch.add_events() = MakeReading(first);
  } else {
    engine::ColumnsWriter writer;
    for (uint32_t i = 0; i < count; ++i) writer.Add(MakeReading(first + i));
    *batch.mutable_columns() = writer.Finish();
  }
  return batch.SerializeAsString();
}

EventBatch Parse(const InboundMessage& message) {
  EventBatch batch;
  const absl::string_view payload = message.payload();
  CHECK(batch.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  return batch;
}

uint64_t CountEvents(const EventBatch& batch) {
  return batch.events_size() + engine::CountEvents(batch.columns());
}

// Publishes as a careful client does: where a stream listens, with an id, and acknowledged.
class Publisher {
 public:
  Publisher(const std::string& url, const Route& route)
      : route_(route),
        connection_(Connect(url)),
        streams_(route.stored ? connection_->OpenEventStreams() : nullptr) {}

  void Send(std::string payload) {
    transport::OutgoingMessage message{
        .subject = route_.in, .payload = std::move(payload), .headers = {}, .reply_to = ""};
    if (streams_ == nullptr) {
      CHECK(connection_->Publish(message).ok());
      return;
    }
    message.headers.emplace_back(transport::kMessageIdHeader, absl::StrCat(run_, "-", ++sent_));
    streams_->Publish(std::move(message), [](const auto& stored) {
      LOG_IF(ERROR, !stored.ok()) << "not stored: " << stored.status();
    });
  }

 private:
  const Route route_;
  const std::unique_ptr<NatsConnection> connection_;
  const std::unique_ptr<transport::EventStreams> streams_;
  const int64_t run_ = Now();
  uint64_t sent_ = 0;
};

// Counts what was sent and what arrived, and holds the sender back.
class Window {
 public:
  explicit Window(uint64_t limit) : limit_(limit) {}

  // Waits for room when `limit` are under way; false when none comes.
  bool Send(uint64_t events) {
    MutexLock lock(mutex_);
    if (sent_ + events > arrived_ + limit_ && !WaitFor(sent_ + events - limit_ / 2)) return false;
    sent_ += events;
    return true;
  }
  void Arrive(uint64_t events) {
    MutexLock lock(mutex_);
    arrived_ += events;
    if (arrived_ >= wanted_) changed_.NotifyAll();
  }
  // How many have not arrived when no more come.
  uint64_t Finish() {
    MutexLock lock(mutex_);
    WaitFor(sent_);
    return sent_ - arrived_;
  }
  uint64_t sent() const {
    MutexLock lock(mutex_);
    return sent_;
  }

 private:
  bool WaitFor(uint64_t arrived) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto deadline = Clock::now() + kPatience;
    wanted_ = arrived;
    while (arrived_ < arrived && changed_.WaitUntil(mutex_, deadline)) {
    }
    wanted_ = UINT64_MAX;
    return arrived_ >= arrived;
  }

  const uint64_t limit_;
  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t wanted_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;  // by who waits
};

}  // namespace

Throughput MeasureThroughput(const std::string& url, const Route& route, double seconds) {
  std::vector<std::string> payloads;
  for (int i = 0; i < kPayloads; ++i) payloads.push_back(MakePayload(i * route.batch, route.batch));
  Publisher publisher(url, route);
  const auto subscriber = Connect(url);
  Window window(route.batch == 1 ? kMessagesUnderWay : kEventsUnderWay);
  const auto subscription = Subscribe(*subscriber, route.out, [&](const InboundMessage& message) {
    window.Arrive(CountEvents(Parse(message)));
  });
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (uint64_t i = 0; Clock::now() < end; ++i) {
    if (!window.Send(route.batch)) break;
    publisher.Send(payloads[i % payloads.size()]);
  }
  const uint64_t lost = window.Finish();
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  return {.events = window.sent(), .lost = lost, .seconds = took};
}

Latency MeasureLatency(const std::string& url, const Route& route, double rate, double seconds) {
  Publisher publisher(url, route);
  const auto subscriber = Connect(url);
  Window window(kMessagesUnderWay);
  Latency latency;
  {
    const auto subscription = Subscribe(*subscriber, route.out, [&](const InboundMessage& message) {
      const int64_t now = Now();
      const EventBatch batch = Parse(message);
      for (const Event& event : batch.events()) {
        const int64_t sent = event.fields(event.fields_size() - 1).value().int_value();
        latency.us.push_back(static_cast<double>(now - sent) / 1000);
        window.Arrive(1);
      }
    });
    const auto count = static_cast<uint32_t>(rate * seconds);
    const auto start = Clock::now();
    for (uint32_t i = 0; i < count; ++i) {
      std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(
                                                std::chrono::duration<double>(i / rate)));
      window.Send(1);
      publisher.Send(MakePayload(i, 1));
    }
    latency.lost = window.Finish();
  }
  return latency;
}

namespace {

constexpr uint64_t kRelayBytes = 512 << 20;

[[noreturn]] void ServeForever() {
  std::puts("ready");
  std::fflush(stdout);
  while (true) pause();
}

}  // namespace

int Relay(const std::string& url, const std::string& in, const std::string& out) {
  const auto connection = Connect(url);
  const auto subscription = Subscribe(*connection, in, [&](const InboundMessage& message) {
    CHECK(connection
              ->Publish({.subject = out,
                         .payload = std::string(message.payload()),
                         .headers = {},
                         .reply_to = ""})
              .ok());
  });
  ServeForever();
}

int StoringRelay(const std::string& url, const std::string& in, const std::string& out) {
  const auto connection = Connect(url);
  const auto streams = connection->OpenEventStreams();
  const transport::EventStreamOptions from{.name = "BENCH_RELAY_IN",
                                           .subject = in,
                                           .max_bytes = kRelayBytes,
                                           .discard_oldest = true,
                                           .republish_to = ""};
  const transport::EventStreamOptions to{.name = "BENCH_RELAY_OUT",
                                         .subject = absl::StrCat(out, ".stored"),
                                         .max_bytes = kRelayBytes,
                                         .discard_oldest = true,
                                         .republish_to = out};
  for (const auto& stream : {from, to}) {
    std::promise<absl::Status> made;
    streams->Ensure(stream, [&](const auto& range) { made.set_value(range.status()); });
    const absl::Status status = made.get_future().get();
    CHECK(status.ok()) << status;
  }
  const auto reader = streams->Read(from, 0, [&](const transport::StoredMessage& stored) {
    streams->Publish({.subject = to.subject,
                      .payload = std::string(stored.message.payload()),
                      .headers = {{transport::kMessageIdHeader, absl::StrCat(stored.sequence)}},
                      .reply_to = ""},
                     [](const auto& done) { CHECK(done.ok()) << done.status(); });
  });
  ServeForever();
}

}  // namespace varpulis::bench
