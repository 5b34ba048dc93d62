#include "network.h"

#include <algorithm>
#include <utility>

namespace varpulis::simulation {

absl::Duration Network::Delay() {
  if (random_.Chance(weather_.late)) {
    ++counters_.late;
    return random_.Between(absl::Milliseconds(50), absl::Seconds(6));
  }
  return random_.Between(absl::Microseconds(100), absl::Milliseconds(8));
}

template <typename Deliver>
void Network::Send(const Deliver& deliver) {
  if (random_.Chance(weather_.lost)) {
    ++counters_.lost;
    return;
  }
  deliver(Delay());
  if (random_.Chance(weather_.duplicated)) {
    ++counters_.duplicated;
    deliver(Delay());
  }
}

void Network::Request(Process& from, const std::string& subject, Handler handler,
                      absl::Duration timeout, Replier done) {
  if (!from.connected()) {
    from.After(absl::ZeroDuration(),
               [done = std::move(done)] { done(absl::UnavailableError("not connected")); });
    return;
  }
  auto call = std::make_shared<Call>(Call{std::move(done), &from, from.life()});
  from.After(timeout, [call] {
    if (call->done) std::exchange(call->done, nullptr)(absl::DeadlineExceededError("no answer"));
  });
  auto arrive = [this, subject, call, handler = std::move(handler)] {
    if (!broker_up_) return;
    std::vector<Process*> found;
    listeners_(subject, found);
    std::erase_if(found, [](const Process* process) { return !process->listens(); });
    if (found.empty()) {
      ++counters_.no_responders;
      return SendReply(call, absl::UnavailableError("no responders"));
    }
    for (Process* target : found) {
      target->Run(target->life(), [this, call, handler, target, life = target->life()] {
        handler(*target, [this, call, target, life](Reply reply) {
          if (target->listens() && target->life() == life) SendReply(call, reply);
        });
      });
    }
  };
  Send([&](absl::Duration delay) { scheduler_.After(delay, arrive); });
}

void Network::SendReply(const std::shared_ptr<Call>& call, const Reply& reply) {
  Send([&](absl::Duration delay) {
    scheduler_.After(delay, [call, reply] {
      if (!call->done || !call->from->connected()) return;
      call->from->Run(call->life, [call, reply] {
        if (call->done) std::exchange(call->done, nullptr)(reply);
      });
    });
  });
}

void Network::Tell(Process& to, const std::function<void()>& hear) {
  Send([&](absl::Duration delay) {
    scheduler_.After(delay, [&to, life = to.life(), hear] {
      if (to.connected()) to.Run(life, hear);
    });
  });
}

void Network::AskBroker(Process& from, std::function<std::function<void()>()> serve,
                        bool in_order) {
  if (!from.connected()) return;
  Process* const sender = &from;
  auto arrive = [this, sender, life = sender->life(), serve = std::move(serve)] {
    if (!broker_up_) return;
    std::function<void()> answer = serve();
    if (sender->life() == life) Tell(*sender, answer);
  };
  Send([&](absl::Duration delay) {
    if (in_order) {
      sender->last_arrival = std::max(sender->last_arrival, scheduler_.now() + delay);
      delay = sender->last_arrival - scheduler_.now();
    }
    scheduler_.After(delay, arrive);
  });
}

}  // namespace varpulis::simulation
