#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

#include "counters.h"
#include "process.h"
#include "random.h"
#include "scheduler.h"

namespace varpulis::simulation {

// What may happen to a message, per mille.
struct Weather {
  uint32_t lost = 0;
  uint32_t late = 0;  // by seconds: later ones overtake it, its sender gives up
  uint32_t duplicated = 0;
};

using Body = std::shared_ptr<const google::protobuf::Message>;
using Reply = absl::StatusOr<Body>;
using Replier = std::function<void(Reply)>;
using Handler = std::function<void(Process& target, const Replier& reply)>;

// Requests and replies between processes by way of the broker. Each message on its own may be lost,
// late, doubled or overtaken.
class Network {
 public:
  // Fills in who listens to a subject: a worker's name, or kLeader.
  using Listeners = std::function<void(const std::string& subject, std::vector<Process*>& found)>;
  static constexpr char kLeader[] = "leader";

  Network(Scheduler& scheduler, Random& random, Counters& counters, Listeners listeners)
      : scheduler_(scheduler),
        random_(random),
        counters_(counters),
        listeners_(std::move(listeners)) {}

  void SetWeather(const Weather& weather) { weather_ = weather; }
  void SetBroker(bool up) { broker_up_ = up; }
  bool broker_up() const { return broker_up_; }

  // `done` is called once, unless `from` dies: with the first reply, UNAVAILABLE when nobody
  // listens or `from` is cut off, DEADLINE_EXCEEDED.
  void Request(Process& from, const std::string& subject, Handler handler, absl::Duration timeout,
               Replier done);

  // From the broker: runs `hear` at `to`.
  void Tell(Process& to, const std::function<void()>& hear);

  // Runs `serve` at the broker and what that returns at `from`; either perhaps never, late or
  // twice. `in_order`: what one process sends is served in order, or not at all.
  void AskBroker(Process& from, std::function<std::function<void()>()> serve, bool in_order);

 private:
  struct Call {
    Replier done;  // empty once called
    Process* from;
    uint64_t life;
  };

  // Calls `deliver` with the delay of each copy that arrives.
  template <typename Deliver>
  void Send(const Deliver& deliver);
  absl::Duration Delay();
  void SendReply(const std::shared_ptr<Call>& call, const Reply& reply);

  Scheduler& scheduler_;
  Random& random_;
  Counters& counters_;
  const Listeners listeners_;
  Weather weather_;
  bool broker_up_ = true;
};

}  // namespace varpulis::simulation
