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
  // Some events with none of another share between them: what comes of them stands together.
  struct Group {
    uint64_t number;  // of the first among all events, from 1
    size_t rows_begin, rows_end;
    size_t runs_end;
  };
  // Lines, or a text of the program.
  struct Piece {
    uint64_t number;  // of the group that it comes of
    size_t end;       // in `said`
    bool is_text;
    engine::TextLevel level;
  };

  static constexpr size_t kGroupRows = 128;  // at most

  engine::Arena values;  // of the rows
  std::vector<engine::Row> rows;
  std::vector<engine::RowRun> runs;
  std::vector<Group> groups;
  bool last = false;  // the end of the input
  std::string said;
  std::vector<Piece> pieces;  // by number
  uint64_t outputs = 0;       // of the worker so far

  void Add(uint64_t number, bool new_group, const engine::InputType* type, engine::Row row) {
    new_group = new_group || groups.empty() || rows.size() - groups.back().rows_begin == kGroupRows;
    if (new_group) groups.push_back({number, rows.size(), 0, 0});
    if (new_group || runs.back().type != type) runs.push_back({type, 0});
    ++runs.back().count;
    rows.push_back(row);
    groups.back().rows_end = rows.size();
    groups.back().runs_end = runs.size();
  }
  void Clear() {
    values.Reset();
    rows.clear();
    runs.clear();
    groups.clear();
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
