#include "transport/request_mux.h"

#include <pthread.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"

namespace varpulis::transport {
namespace {

constexpr char kStatusHeader[] = "Status";
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);

ChunkAssembler::Options LoggingDrops() {
  ChunkAssembler::Options options;
  options.on_dropped = [](absl::string_view /*id*/, absl::string_view reason) {
    LOG_EVERY_N(WARNING, 100) << "dropped a chunked reply: " << std::string(reason);
  };
  return options;
}

}  // namespace

RequestMux::RequestMux(std::string inbox)
    : inbox_(std::move(inbox)),
      assembler_(LoggingDrops()),
      deadline_thread_([this] { RunDeadlines(); }) {}

RequestMux::~RequestMux() { Close(); }

std::string RequestMux::Begin(const std::string& subject, absl::Duration timeout,
                              Bus::ReplyCallback done) {
  timeout = std::clamp(timeout, absl::ZeroDuration(), kLongestTimeout);
  const SteadyTime deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  uint64_t token = 0;
  {
    MutexLock lock(mutex_);
    if (!closed_) {
      token = next_token_++;
      deadlines_.emplace(deadline, token);
      pending_.emplace(token, Pending{subject, timeout, deadline, std::exchange(done, nullptr)});
      if (deadline < next_look_) deadline_changed_.NotifyOne();
    }
  }
  if (token == 0) {
    done(absl::CancelledError("the connection is closed"));
    return "";
  }
  return absl::StrCat(inbox_, ".", token);
}

void RequestMux::OnReply(InboundMessage reply) {
  const uint64_t token = TokenOf(reply.subject());
  if (token == 0) return;
  if (reply.payload().empty() && reply.Header(kStatusHeader) == "503") {
    Pending request = Take(token);
    if (request.done) request.done(NoRespondersError(request.subject));
    return;
  }
  std::optional<InboundMessage> whole = assembler_.Add(std::move(reply));
  if (!whole.has_value()) return;
  Pending request = Take(token);
  if (request.done) request.done(*std::move(whole));
}

void RequestMux::Fail(const std::string& reply_subject, const absl::Status& status) {
  Pending request = Take(TokenOf(reply_subject));
  if (request.done) request.done(status);
}

void RequestMux::FailAll(const absl::Status& status) {
  std::map<uint64_t, Pending> failed;
  {
    MutexLock lock(mutex_);
    failed.swap(pending_);
    deadlines_.clear();
  }
  for (auto& [token, request] : failed) request.done(status);
}

void RequestMux::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
    deadline_changed_.NotifyOne();
  }
  if (deadline_thread_.joinable()) deadline_thread_.join();
  FailAll(absl::CancelledError("the connection was closed before the reply came"));
}

size_t RequestMux::pending() const {
  MutexLock lock(mutex_);
  return pending_.size();
}

uint64_t RequestMux::TokenOf(absl::string_view reply_subject) const {
  uint64_t token = 0;
  if (!absl::ConsumePrefix(&reply_subject, inbox_) || !absl::ConsumePrefix(&reply_subject, ".") ||
      !absl::SimpleAtoi(reply_subject, &token)) {
    return 0;
  }
  return token;
}

RequestMux::Pending RequestMux::Take(uint64_t token) {
  MutexLock lock(mutex_);
  const auto it = pending_.find(token);
  if (it == pending_.end()) return {};
  Pending request = std::move(it->second);
  deadlines_.erase({request.deadline, token});
  pending_.erase(it);
  return request;
}

void RequestMux::RunDeadlines() {
  pthread_setname_np(pthread_self(), "nats-deadlines");
  std::vector<Pending> late;
  while (true) {
    {
      MutexLock lock(mutex_);
      while (late.empty()) {
        if (closed_) return;
        const SteadyTime now = std::chrono::steady_clock::now();
        while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
          const auto it = pending_.find(deadlines_.begin()->second);
          late.push_back(std::move(it->second));
          pending_.erase(it);
          deadlines_.erase(deadlines_.begin());
        }
        if (!late.empty()) break;
        if (deadlines_.empty()) {
          next_look_ = SteadyTime::max();
          deadline_changed_.Wait(mutex_);
        } else {
          next_look_ = deadlines_.begin()->first;
          deadline_changed_.WaitUntil(mutex_, next_look_);
        }
        next_look_ = SteadyTime::min();  // awake
      }
    }
    for (Pending& request : late) {
      request.done(absl::DeadlineExceededError(absl::StrCat(
          "no reply from ", request.subject, " within ", absl::FormatDuration(request.timeout))));
    }
    late.clear();
  }
}

}  // namespace varpulis::transport
