#include "cli/simulate/worker.h"

#include <utility>

#include "engine/io/json_writer.h"

namespace varpulis::cli {
namespace {

// Writes down what comes of which event.
class ShareSink final : public engine::OutputSink {
 public:
  ShareSink(Share& share, bool quiet) : share_(share), quiet_(quiet) {}

  void set_number(uint64_t number) { number_ = number; }
  void OnOutput(const engine::OutputEvent& event) override {
    if (quiet_) return;
    engine::AppendJsonLine(event, &share_.said);
    Added(false, engine::TextLevel::kInfo);
  }
  void OnText(engine::TextLevel level, std::string_view text) override {
    share_.said.append(text);
    Added(true, level);
  }
  void OnSessionEnd(uint64_t opened) override { number_ = opened; }

 private:
  void Added(bool is_text, engine::TextLevel level) {
    std::vector<Share::Piece>& pieces = share_.pieces;
    if (!is_text && !pieces.empty() && pieces.back().number == number_ && !pieces.back().is_text) {
      pieces.back().end = share_.said.size();
    } else {
      pieces.push_back({number_, share_.said.size(), is_text, level});
    }
  }

  Share& share_;
  const bool quiet_;
  uint64_t number_ = 0;
};

}  // namespace

void Desk::Give(Round* round) {
  MutexLock lock(mutex_);
  round->open = round->shares.size();
  for (std::deque<Round*>& rounds : waiting_) rounds.push_back(round);
  given_.NotifyAll();
}

void Desk::AwaitDone(const Round& round) {
  MutexLock lock(mutex_);
  while (round.open > 0) done_.Wait(mutex_);
}

void Desk::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  given_.NotifyAll();
}

Round* Desk::Take(size_t index) {
  MutexLock lock(mutex_);
  while (waiting_[index].empty() && !closed_) given_.Wait(mutex_);
  if (waiting_[index].empty()) return nullptr;
  Round* round = waiting_[index].front();
  waiting_[index].pop_front();
  return round;
}

void Desk::Done(Round* round) {
  MutexLock lock(mutex_);
  if (--round->open == 0) done_.NotifyAll();
}

Worker::Worker(size_t index, Desk& desk, std::unique_ptr<engine::Pipeline> pipeline, bool quiet)
    : index_(index), desk_(desk), quiet_(quiet), pipeline_(std::move(pipeline)), thread_([this] {
        Run();
      }) {}

Worker::~Worker() { thread_.join(); }

void Worker::Run() {
  while (Round* round = desk_.Take(index_)) {
    Work(*round->shares[index_]);
    desk_.Done(round);
  }
}

void Worker::Work(Share& share) {
  ShareSink sink(share, quiet_);
  for (engine::RowRun& run : share.runs) run.type = OwnType(run.type);
  const absl::Span<engine::RowRun> runs = absl::MakeSpan(share.runs);
  const engine::Batch rows = absl::MakeSpan(share.rows);
  size_t run = 0;
  for (const Share::Group& group : share.groups) {
    sink.set_number(group.number);
    pipeline_->SkipEvents(group.number - 1 - pipeline_->events_in());
    pipeline_->PushRows(runs.subspan(run, group.runs_end - run),
                        rows.subspan(group.rows_begin, group.rows_end - group.rows_begin), sink);
    run = group.runs_end;
  }
  if (share.last) pipeline_->Finish(sink);
  share.outputs = pipeline_->events_out();
}

// Pipelines of one program have the same types.
const engine::InputType* Worker::OwnType(const engine::InputType* type) {
  const engine::InputType*& own = own_types_[type];
  if (own == nullptr) own = pipeline_->inputs().Find(type->name);
  return own;
}

}  // namespace varpulis::cli
