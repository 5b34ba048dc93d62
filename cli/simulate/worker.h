#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "base/mutex.h"
#include "engine/pipeline.h"
#include "engine/runtime/arena.h"

namespace varpulis::cli {

// The events that one worker gets of a round, and what becomes of them. Belongs to the reading
// thread until it is given to the worker, then to that thread until the round is done.
struct Share {
  struct Event {
    uint64_t number;  // among all events, from 1
    const engine::InputType* type;
    engine::Row row;
  };
  // Lines, or a text of the program.
  struct Piece {
    uint64_t number;  // of the event that it comes of
    size_t end;       // in `said`
    bool is_text;
    engine::TextLevel level;
  };

  engine::Arena values;  // of the rows
  std::vector<Event> events;
  bool last = false;  // the end of the input
  std::string said;
  std::vector<Piece> pieces;  // by number
  uint64_t outputs = 0;       // of the worker so far

  void Clear() {
    values.Reset();
    events.clear();
    last = false;
    said.clear();
    pieces.clear();
  }
};

// Successive events, spread over the workers.
struct Round {
  std::vector<std::unique_ptr<Share>> shares;  // by worker
  size_t open = 0;                             // shares in work; guarded by the Desk's mutex
};

// Where the reading thread and the workers hand rounds over. Thread-safe.
class Desk {
 public:
  explicit Desk(size_t workers) : waiting_(workers) {}

  void Give(Round* round) ABSL_LOCKS_EXCLUDED(mutex_);
  void AwaitDone(const Round& round) ABSL_LOCKS_EXCLUDED(mutex_);
  // No more rounds.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // For worker `index`: the next round, null when there are no more.
  Round* Take(size_t index) ABSL_LOCKS_EXCLUDED(mutex_);
  void Done(Round* round) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  CondVar given_, done_;
  std::vector<std::deque<Round*>> waiting_ ABSL_GUARDED_BY(mutex_);  // by worker
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// A thread with a pipeline of its own, which no other thread touches once the worker is made.
class Worker {
 public:
  // Takes share `index` of each round.
  Worker(size_t index, Desk& desk, std::unique_ptr<engine::Pipeline> pipeline, bool quiet);
  ~Worker();  // waits for the thread. REQUIRES: the desk is closed
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  void Run();
  void Work(Share& share);
  const engine::InputType* OwnType(const engine::InputType* type);

  const size_t index_;
  Desk& desk_;
  const bool quiet_;
  const std::unique_ptr<engine::Pipeline> pipeline_;
  absl::flat_hash_map<const engine::InputType*, const engine::InputType*> own_types_;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace varpulis::cli
