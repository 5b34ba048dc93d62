#include "test/faults/producer.h"

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/event.pb.h"

namespace varpulis::faults {
namespace {

// The same in every run, so that the outputs can be the same.
constexpr int64_t kFirstTimestampNs = 1'700'000'000'000'000'000;
constexpr absl::Duration kBetweenAttempts = absl::Milliseconds(5);

std::string Payload(int64_t first, int64_t last) {
  v1::EventBatch batch;
  for (int64_t n = first; n <= last; ++n) {
    v1::Event& event = *batch.add_events();
    event.set_event_type("Raw");
    event.set_timestamp_ns(kFirstTimestampNs + n * 1'000'000);
    v1::Field& field = *event.add_fields();
    field.set_name("n");
    field.mutable_value()->set_int_value(n);
  }
  return batch.SerializeAsString();
}

}  // namespace

Producer::Producer(Site& site, GroupUnderTest group, std::string group_id, Load load)
    : site_(site),
      group_(std::move(group)),
      group_id_(std::move(group_id)),
      load_(load),
      streams_(site.bus().OpenEventStreams()),
      thread_([this] { Work(); }) {}

Producer::~Producer() {
  ending_ = true;
  Release();
  thread_.join();
}

void Producer::HoldBefore(int64_t n) {
  MutexLock lock(mutex_);
  hold_before_ = n;
  changed_.NotifyAll();
}

bool Producer::held() const {
  MutexLock lock(mutex_);
  return held_;
}

bool Producer::MayGoOn(int64_t n) {
  MutexLock lock(mutex_);
  while (!ending_ && n >= hold_before_) {
    held_ = true;
    changed_.Wait(mutex_);
  }
  held_ = false;
  return !ending_;
}

void Producer::Work() {
  absl::Time due = absl::Now();
  for (int64_t first = 1; first <= load_.events; first += load_.per_message) {
    const int64_t last = std::min(load_.events, first + load_.per_message - 1);
    if (!MayGoOn(last)) return;
    const std::string payload = Payload(first, last);
    for (const std::string& entry : group_.entries) {
      if (load_.exactly_once) {
        Store(entry, last, payload);
      } else {
        PublishOnce(entry, payload);
      }
    }
    if (ending_) return;
    taken_ = last;
    if (load_.per_second > 0) {
      // The pace is what it is for; what an outage has cost is not made up for.
      due = std::max(due + absl::Seconds(static_cast<double>(last - first + 1) / load_.per_second),
                     absl::Now() - absl::Milliseconds(20));
      absl::SleepFor(due - absl::Now());
    }
  }
}

void Producer::Store(const std::string& entry, int64_t last, const std::string& payload) {
  const std::string id = absl::StrCat("faults:", group_id_, ":", entry, ":", last);
  while (!ending_) {
    auto answered = std::make_shared<std::promise<bool>>();
    streams_->Publish({.subject = site_.subjects().Pipeline(group_id_, transport::kExternal, entry),
                       .payload = payload,
                       .headers = {{transport::kMessageIdHeader, id}},
                       .reply_to = ""},
                      [answered](const auto& stored) { answered->set_value(stored.ok()); });
    if (answered->get_future().get()) return;
    absl::SleepFor(kBetweenAttempts);
  }
}

void Producer::PublishOnce(const std::string& entry, const std::string& payload) {
  const transport::OutgoingMessage message{
      .subject = site_.subjects().Pipeline(group_id_, transport::kExternal, entry),
      .payload = payload,
      .headers = {},
      .reply_to = ""};
  while (!ending_ && !site_.bus().Publish(message).ok()) absl::SleepFor(kBetweenAttempts);
}

}  // namespace varpulis::faults
