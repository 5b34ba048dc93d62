#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "base/status_macros.h"
#include "cli/simulate/replay.h"
#include "cli/simulate/worker.h"
#include "engine/io/event_line.h"
#include "engine/runtime/partition.h"

namespace varpulis::cli {
namespace {

// Reads, spreads rounds of events over the workers and says what they made of them in the order of
// the events. Lives on the reading thread.
class Spreader {
 public:
  Spreader(Replay& replay, const engine::Spread& spread, const engine::Pipeline& shape)
      : replay_(replay),
        shape_(shape),
        max_late_ns_(spread.max_late_ns),
        desk_(replay.options.workers) {
    for (const engine::Spread::Key& key : spread.keys) {
      if (const engine::InputType* type = shape.inputs().Find(key.type)) slots_[type] = key.slot;
    }
    for (size_t i = 0; i < kRounds; ++i) {
      rounds_.push_back(std::make_unique<Round>());
      for (uint32_t k = 0; k < replay.options.workers; ++k) {
        rounds_.back()->shares.push_back(std::make_unique<Share>());
      }
    }
  }
  ~Spreader() { desk_.Close(); }  // before the workers, which wait for that

  absl::Status Start(const std::string& source) {
    for (uint32_t i = 0; i < replay_.options.workers; ++i) {
      ASSIGN_OR_RETURN(std::unique_ptr<engine::Pipeline> pipeline,
                       engine::Pipeline::Compile(source));
      workers_.push_back(
          std::make_unique<Worker>(i, desk_, std::move(pipeline), replay_.output.quiet()));
    }
    return absl::OkStatus();
  }

  // False when an event came too late.
  absl::StatusOr<bool> Run() {
    const absl::Status read = ReadAll();
    Give();
    if (read.ok() && !stopped_ && !too_late_) {
      // A round of its own: what sessions give has the numbers of events long before.
      for (std::unique_ptr<Share>& share : Filling().shares) share->last = true;
      Give();
    }
    while (said_ < given_) SayNext();
    if (!read.ok()) return read;
    return !too_late_;
  }

 private:
  // Rounds in work besides the one that is filled: enough that nobody waits for another.
  static constexpr size_t kRounds = 4;
  // Rounds have as many events as take a while, so that handing them over costs little, and not
  // longer, so that a signal is heard.
  static constexpr size_t kLeastEvents = 16, kMostEvents = 4096;
  static constexpr std::chrono::milliseconds kShort{5}, kLong{50};
  static constexpr size_t kRoundBytes = 4 << 20;  // of values; a single event may have more
  static constexpr size_t kBatchRows = 128;

  Round& Filling() { return *rounds_[given_ % kRounds]; }

  absl::Status ReadAll() {
    engine::Arena arena;
    engine::EventLineReader reader(shape_.inputs(), nullptr, arena);
    reader.SetBase(replay_.base_ns);
    engine::EventRows events;
    std::string_view lines;
    while (true) {
      absl::StatusOr<bool> more = replay_.file.NextLines(&lines);
      if (!more.ok()) return AtLine(replay_, more.status());
      if (!*more) return absl::OkStatus();
      while (!lines.empty()) {
        const size_t before = lines.size();
        const absl::Status read = reader.ReadRows(&lines, kBatchRows, &events);
        replay_.file.Took(before - lines.size(), events.lines);
        Spread(events);
        arena.Reset();
        if (too_late_) return absl::OkStatus();
        if (!read.ok()) {
          replay_.file.Took(0, 1);
          return AtLine(replay_, read);
        }
        stopped_ = !GoOn(replay_);
        if (stopped_) return absl::OkStatus();
      }
    }
  }

  void Spread(const engine::EventRows& events) {
    const engine::Row* row = events.rows.data();
    for (const engine::RowRun& run : events.runs) {
      const auto found = slots_.find(run.type);
      const int slot = found == slots_.end() ? -1 : found->second;
      for (size_t i = 0; i < run.count && !too_late_; ++i, ++row) Add(run.type, slot, *row);
    }
    if (filled_ >= round_events_ || bytes_ >= kRoundBytes) Give();
  }

  void Add(const engine::InputType* type, int slot, const engine::Row& row) {
    if (type != nullptr && row.timestamp_ns < oldest_ns_) {
      too_late_ = true;
      return;
    }
    ++replay_.counters.events;
    if (type == nullptr) return;  // nothing sees it
    if (row.timestamp_ns > newest_ns_) {
      newest_ns_ = row.timestamp_ns;
      if (__builtin_sub_overflow(newest_ns_, max_late_ns_, &oldest_ns_)) oldest_ns_ = INT64_MIN;
    }
    const size_t worker = slot < 0 ? replay_.counters.events / kBatchRows % workers_.size()
                                   : WorkerFor(row.slots[slot]);
    Share& share = *Filling().shares[worker];
    engine::Row copy{row.timestamp_ns, share.values.Allocate<engine::Value>(type->slot_count)};
    const size_t before = share.values.used();
    for (size_t i = 0; i < type->slot_count; ++i) {
      copy.slots[i] = Copy(row.slots[i], share.values);
    }
    bytes_ += share.values.used() - before;
    share.Add(replay_.counters.events, worker != last_worker_, type, copy);
    last_worker_ = worker;
    ++filled_;
  }

  // As engine::CopyTo, with most values seen at once.
  static engine::Value Copy(const engine::Value& value, engine::Arena& arena) {
    if (value.kind() < engine::ValueKind::kString) return value;
    if (!value.is(engine::ValueKind::kString)) return engine::CopyTo(value, arena);
    return engine::Value::String(arena.CopyString(value.string()));
  }

  size_t WorkerFor(const engine::Value& key) {
    const std::string_view text =
        engine::SpreadText(engine::PartitionText(key, engine::kAbsentWindowKey, &text_));
    return (uint64_t{engine::HashText(text)} * workers_.size()) >> 32;
  }

  // The round that is filled goes to the workers, and the oldest is made room for the next in.
  void Give() {
    desk_.Give(&Filling());
    ++given_;
    filled_ = bytes_ = 0;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_given_ < kShort) round_events_ = std::min(round_events_ * 2, kMostEvents);
    if (now - last_given_ > kLong) round_events_ = std::max(round_events_ / 2, kLeastEvents);
    last_given_ = now;
    if (given_ - said_ == kRounds) SayNext();
  }

  // What the workers made of the oldest round in work, in order.
  void SayNext() {
    Round& round = *rounds_[said_++ % kRounds];
    desk_.AwaitDone(round);
    struct Source {
      const Share* share;
      size_t piece = 0, begin = 0;
    };
    std::vector<Source> sources;
    uint64_t outputs = 0;
    for (const std::unique_ptr<Share>& share : round.shares) {
      outputs += share->outputs;
      if (!share->pieces.empty()) sources.push_back({share.get()});
    }
    replay_.counters.outputs = outputs;
    while (!sources.empty()) {
      const auto next =
          std::min_element(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
            return a.share->pieces[a.piece].number < b.share->pieces[b.piece].number;
          });
      const Share::Piece& piece = next->share->pieces[next->piece];
      const std::string_view said =
          std::string_view(next->share->said).substr(next->begin, piece.end - next->begin);
      if (piece.is_text) {
        replay_.output.OnText(piece.level, said);
      } else {
        replay_.output.AddLines(said);
      }
      next->begin = piece.end;
      if (++next->piece == next->share->pieces.size()) sources.erase(next);
    }
    for (const std::unique_ptr<Share>& share : round.shares) share->Clear();
  }

  Replay& replay_;
  const engine::Pipeline& shape_;
  const int64_t max_late_ns_;
  absl::flat_hash_map<const engine::InputType*, int> slots_;
  std::vector<std::unique_ptr<Round>> rounds_;  // used in turns
  Desk desk_;
  std::vector<std::unique_ptr<Worker>> workers_;
  size_t given_ = 0, said_ = 0;    // rounds
  size_t filled_ = 0, bytes_ = 0;  // of the round that is filled
  size_t last_worker_ = 0;         // that got an event
  size_t round_events_ = kLeastEvents;
  std::chrono::steady_clock::time_point last_given_ = std::chrono::steady_clock::now();
  int64_t newest_ns_ = INT64_MIN;  // of the events so far
  int64_t oldest_ns_ = INT64_MIN;  // that an event may be
  bool too_late_ = false, stopped_ = false;
  std::string text_;
};

}  // namespace

absl::StatusOr<bool> RunParallel(Replay& replay, const std::string& source,
                                 const engine::Spread& spread, const engine::Pipeline& shape) {
  {
    Spreader spreader(replay, spread, shape);
    RETURN_IF_ERROR(spreader.Start(source));
    ASSIGN_OR_RETURN(const bool done, spreader.Run());
    if (done) return true;
  }
  RETURN_IF_ERROR(replay.file.Rewind());
  replay.output.StartOver();
  replay.counters = {};
  return false;
}

}  // namespace varpulis::cli
