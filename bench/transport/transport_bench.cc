// Request/reply and relay over NatsConnection, beside plain nats.c with default options.
//
//   request/reply  one requester, 128 bytes each way, one after the other
//   relay          receive and publish again on one connection, as a pipeline without an engine
//   does
//   blobs          100 MB stored in JetStream and read back, as a checkpoint is

#include <nats/nats.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/mutex.h"
#include "glog/logging.h"
#include "transport/blob_store.h"
#include "transport/broker_process.h"
#include "transport/nats_connection.h"

namespace varpulis::transport {
namespace {

constexpr int kRequests = 5'000;
constexpr int kRelayed = 1'000'000;
const std::string kPayload(128, 'x');

struct Latency {
  double p50_us = 0;
  double p99_us = 0;
};

Latency Measure(const std::function<void()>& operation, int count) {
  std::vector<double> us;
  for (int i = 0; i < count / 10; ++i) operation();  // warm
  for (int i = 0; i < count; ++i) {
    const absl::Time start = absl::Now();
    operation();
    us.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
  std::sort(us.begin(), us.end());
  return {us[us.size() / 2], us[us.size() * 99 / 100]};
}

std::unique_ptr<NatsConnection> Ours(const std::string& url) {
  NatsOptions options;
  options.urls = {url};
  auto connection = NatsConnection::Connect(options);
  CHECK(connection.ok()) << connection.status();
  return *std::move(connection);
}

natsConnection* Plain(const std::string& url) {
  natsConnection* connection = nullptr;
  CHECK(natsConnection_ConnectTo(&connection, url.c_str()) == NATS_OK);
  return connection;
}

std::unique_ptr<Subscription> Subscribe(Bus& bus, const std::string& subject,
                                        Bus::Handler handler) {
  SubscribeOptions options;
  options.subject = subject;
  options.max_pending_messages = 2'000'000;
  auto subscription = bus.Subscribe(options, std::move(handler));
  CHECK(subscription.ok()) << subscription.status();
  CHECK(bus.Flush(absl::Seconds(5)).ok());
  return *std::move(subscription);
}

Latency OurRequestReply(const std::string& url) {
  const auto server = Ours(url);
  const auto client = Ours(url);
  const auto service = Subscribe(*server, "echo", [&](InboundMessage message) {
    server->Reply(std::string(message.reply_to()), std::string(message.payload()), {})
        .IgnoreError();  // the requester checks
  });
  Mutex mutex;
  CondVar changed;
  return Measure(
      [&] {
        bool answered = false;
        OutgoingMessage request;
        request.subject = "echo";
        request.payload = kPayload;
        client->Request(std::move(request), absl::Seconds(5),
                        [&](absl::StatusOr<InboundMessage> reply) {
                          CHECK(reply.ok()) << reply.status();
                          MutexLock lock(mutex);
                          answered = true;
                          changed.NotifyOne();
                        });
        MutexLock lock(mutex);
        while (!answered) changed.Wait(mutex);
      },
      kRequests);
}

Latency PlainRequestReply(const std::string& url, int count) {
  natsConnection* const server = Plain(url);
  natsConnection* const client = Plain(url);
  natsSubscription* service = nullptr;
  natsConnection_Subscribe(
      &service, server, "plain.echo",
      [](natsConnection* connection, natsSubscription*, natsMsg* message, void*) {
        natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                               natsMsg_GetDataLength(message));
        natsMsg_Destroy(message);
      },
      nullptr);
  natsConnection_Flush(server);
  const Latency latency = Measure(
      [&] {
        natsMsg* reply = nullptr;
        CHECK(natsConnection_Request(&reply, client, "plain.echo", kPayload.data(),
                                     static_cast<int>(kPayload.size()), 5000) == NATS_OK);
        natsMsg_Destroy(reply);
      },
      count);
  natsSubscription_Destroy(service);
  natsConnection_Destroy(server);
  natsConnection_Destroy(client);
  return latency;
}

// Sends kRelayed messages to `in` and returns the rate at which they come out of `out`. The sender
// keeps at most 20,000 on the way, so that no queue overflows. Sender and receiver are plain nats.c
// for both.
double RelayRate(const std::string& url, const std::string& in, const std::string& out) {
  natsConnection* const sender = Plain(url);
  natsConnection* const receiver = Plain(url);
  std::atomic<int> arrived{0};
  natsSubscription* subscription = nullptr;
  natsConnection_Subscribe(
      &subscription, receiver, out.c_str(),
      [](natsConnection*, natsSubscription*, natsMsg* message, void* raw) {
        static_cast<std::atomic<int>*>(raw)->fetch_add(1, std::memory_order_relaxed);
        natsMsg_Destroy(message);
      },
      &arrived);
  natsConnection_Flush(receiver);
  const absl::Time start = absl::Now();
  const absl::Time deadline = start + absl::Seconds(60);
  for (int sent = 0; sent < kRelayed; ++sent) {
    while (sent - arrived > 20'000 && absl::Now() < deadline) std::this_thread::yield();
    natsConnection_Publish(sender, in.c_str(), kPayload.data(), static_cast<int>(kPayload.size()));
  }
  while (arrived < kRelayed && absl::Now() < deadline) std::this_thread::yield();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const int received = arrived;
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(sender);
  natsConnection_Destroy(receiver);
  return received / seconds;
}

double OurRelay(const std::string& url) {
  const auto relay = Ours(url);
  const auto subscription = Subscribe(*relay, "in", [&](InboundMessage message) {
    OutgoingMessage out;
    out.subject = "out";
    out.payload = std::string(message.payload());
    CHECK(relay->Publish(out).ok());
  });
  return RelayRate(url, "in", "out");
}

double PlainRelay(const std::string& url) {
  natsConnection* const relay = Plain(url);
  natsSubscription* subscription = nullptr;
  natsConnection_Subscribe(
      &subscription, relay, "plain.in",
      [](natsConnection* connection, natsSubscription*, natsMsg* message, void*) {
        natsConnection_Publish(connection, "plain.out", natsMsg_GetData(message),
                               natsMsg_GetDataLength(message));
        natsMsg_Destroy(message);
      },
      nullptr);
  natsConnection_Flush(relay);
  const double rate = RelayRate(url, "plain.in", "plain.out");
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(relay);
  return rate;
}

struct BlobTimes {
  absl::Duration save, load;
};

// A value as large as a pipeline's state can be, stored on disk and read back. The best of five.
BlobTimes Blobs(const std::string& url) {
  const auto connection = Ours(url);
  const auto store = connection->OpenBlobStore({.stream = "BLOBS", .subject = "blob"});
  std::string data(100'000'000, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 2654435761U >> 24);
  BlobTimes best{absl::InfiniteDuration(), absl::InfiniteDuration()};
  for (int round = 0; round < 5; ++round) {
    const absl::Time began = absl::Now();
    std::promise<absl::Status> saved;
    store->Save("blob.x", {.data = data, .rank = 1, .encoding = 1},
                [&](const absl::Status& status) { saved.set_value(status); });
    CHECK(saved.get_future().get().ok());
    const absl::Time stored = absl::Now();
    std::promise<bool> loaded;
    store->Load("blob.x", 0, [&](const absl::StatusOr<Blob>& blob) {
      loaded.set_value(blob.ok() && blob->data.size() == data.size());
    });
    CHECK(loaded.get_future().get());
    best.save = std::min(best.save, stored - began);
    best.load = std::min(best.load, absl::Now() - stored);
  }
  return best;
}

int Main() {
  BrokerOptions options;
  options.jetstream = false;
  const auto broker = BrokerProcess::Start(options);
  CHECK(broker.ok()) << broker.status();
  const std::string url = (*broker)->url();

  {
    const auto idle = Ours(url);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("connected and idle: %.1f MiB resident\n\n", usage.ru_maxrss / 1024.0);
  }
  const Latency ours = OurRequestReply(url);
  const Latency plain = PlainRequestReply(url, kRequests / 10);
  const double our_rate = OurRelay(url);
  const double plain_rate = PlainRelay(url);
  std::printf("%-28s %18s %18s\n", "128 bytes", "this transport", "nats.c defaults");
  std::printf("%-28s %15.0f us %15.0f us\n", "request/reply p50", ours.p50_us, plain.p50_us);
  std::printf("%-28s %15.0f us %15.0f us\n", "request/reply p99", ours.p99_us, plain.p99_us);
  std::printf("%-28s %14.0f k/s %14.0f k/s\n", "relay, one connection", our_rate / 1000,
              plain_rate / 1000);

  const auto store = BrokerProcess::Start({});
  CHECK(store.ok()) << store.status();
  const BlobTimes blobs = Blobs((*store)->url());
  std::printf("\n100 MB of state in JetStream: stored in %.2f s, read in %.2f s\n",
              absl::ToDoubleSeconds(blobs.save), absl::ToDoubleSeconds(blobs.load));
  return 0;
}

}  // namespace
}  // namespace varpulis::transport

int main() { return varpulis::transport::Main(); }
