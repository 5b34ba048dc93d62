#include "rest/log_stream.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/event.pb.h"
#include "proto/worker_api.pb.h"

#include "rest/http_error.h"
#include "transport/json_codec.h"
#include "transport/rpc.h"

namespace varpulis::rest {
namespace {

constexpr size_t kBufferedEvents = 256;
constexpr absl::Duration kKeepAlive = absl::Seconds(15);

// {"event_type","timestamp","data"}: the stream's word for what an event elsewhere calls `fields`.
// The key cannot be mistaken: inside a JSON text its quotes would be escaped.
std::string DataLine(const v1::Event& event) {
  static const std::string kFields = ",\"fields\":";
  std::string json = transport::ToJson(event);
  if (const size_t at = json.find(kFields); at != std::string::npos) {
    json.replace(at, kFields.size(), ",\"data\":");
  }
  return absl::StrCat("data: ", json, "\n\n");
}

// One reader. Events come on a transport thread and are handed to the loop; the rest lives there.
class LogStream : public std::enable_shared_from_this<LogStream> {
 public:
  explicit LogStream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

  void Start(transport::Bus& bus, const std::string& subject) {
    transport::SubscribeOptions options;
    options.subject = subject;
    auto subscription = bus.Subscribe(
        std::move(options), [self = shared_from_this()](transport::InboundMessage message) {
          self->OnMessage(message);
        });
    if (!subscription.ok()) return exchange_->Answer(ErrorResponse(subscription.status()));
    subscription_ = *std::move(subscription);
    HttpResponse head;
    head.content_type = "text/event-stream";
    exchange_->Begin(std::move(head), [self = shared_from_this()] {
      self->closed_ = true;
      self->subscription_.reset();
    });
    if (closed_) return;
    exchange_->Write(": connected\n\n");
    KeepAlive();
  }

 private:
  void OnMessage(const transport::InboundMessage& message) {
    v1::EventBatch batch;
    const absl::string_view payload = message.payload();
    if (!batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
    const auto count = static_cast<size_t>(batch.events_size());
    if (waiting_.fetch_add(count) + count > kBufferedEvents) {
      waiting_ -= count;
      skipped_ += count;
      return;
    }
    std::string lines;
    for (const v1::Event& event : batch.events()) lines += DataLine(event);
    const bool posted = exchange_->Post([self = shared_from_this(), count, lines] {
      self->waiting_ -= count;
      self->Deliver(count, lines);
    });
    if (!posted) waiting_ -= count;
  }

  void Deliver(size_t count, const std::string& lines) {
    if (closed_) return;
    if (const uint64_t missed = skipped_.exchange(0); missed > 0) {
      const std::string warning =
          absl::StrCat("event: warning\ndata: {\"warning\":\"skipped ", missed, " events\"}\n\n");
      if (!exchange_->Write(warning)) skipped_ += missed;
    }
    if (!exchange_->Write(lines)) skipped_ += count;
  }

  void KeepAlive() {
    exchange_->After(kKeepAlive, [self = shared_from_this()] {
      if (self->closed_) return;
      self->exchange_->Write(": keep-alive\n\n");
      self->KeepAlive();
    });
  }

  const std::shared_ptr<Exchange> exchange_;
  std::unique_ptr<transport::Subscription> subscription_;
  bool closed_ = false;
  std::atomic<size_t> waiting_{0};
  std::atomic<uint64_t> skipped_{0};
};

}  // namespace

void StreamLogs(transport::Bus& bus, const transport::Subjects& subjects,
                const std::string& pipeline_id, const std::shared_ptr<Exchange>& exchange) {
  v1::WorkerPipelineRequest request;
  request.set_pipeline_id(pipeline_id);
  transport::Call<v1::WorkerPipelineInfo>(
      bus, subjects.Api("pipelines", "get"), request, {},
      [&bus, exchange, subject = subjects.Output("local", pipeline_id)](
          const absl::StatusOr<v1::WorkerPipelineInfo>& info) {
        exchange->Post([&bus, exchange, subject, status = info.status()] {
          if (!status.ok()) return exchange->Answer(ErrorResponse(status));
          std::make_shared<LogStream>(exchange)->Start(bus, subject);
        });
      });
}

}  // namespace varpulis::rest
