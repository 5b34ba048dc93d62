#include "transport/nats_record_log.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "rapidjson/pointer.h"

#include "base/ids.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/strand.h"
#include "transport/nats_ordered_reader.h"
#include "transport/nats_record_follower.h"
#include "transport/record_copy.h"

namespace varpulis::transport {
namespace {

constexpr int kBarrierAttempts = 50;
constexpr absl::Duration kLoadTimeout = absl::Seconds(30);
constexpr size_t kHeaderRoom = 512;  // what our headers take of max_payload, amply
constexpr char kMessageIdHeader[] = "Nats-Msg-Id";
constexpr char kExpectedLastMessageIdHeader[] = "Nats-Expected-Last-Msg-Id";

// `id`: of the chain, unique. The sequence alone does not chain writes that do not wait for each
// other: when the first is refused because another coordinator has written, that one's write has
// the very sequence which the second expects. So each also names the message it follows.
OutgoingMessage MessageOf(const KeyValueOptions& bucket, const std::string& id, RecordWrite write,
                          uint64_t expected) {
  OutgoingMessage message;
  message.subject = SubjectOfKey(bucket, write.key);
  message.headers.emplace_back(kExpectedLastSequenceHeader, absl::StrCat(expected));
  message.headers.emplace_back(kMessageIdHeader, absl::StrCat(id, ".", expected));
  if (write.remove) {
    message.headers.emplace_back(kKvOperationHeader, "DEL");
  } else {
    message.payload = std::move(write.value);
  }
  return message;
}

// The chain of writes since one Open. Thread-safe; outlives the log for the sake of callbacks.
class Chain {
 public:
  Chain(std::string id, uint64_t barrier) : id_(std::move(id)), last_(barrier) {}

  const std::string& id() const { return id_; }

  absl::Status dead() const {
    MutexLock lock(mutex_);
    return dead_;
  }
  // The sequence to expect for each of `count` more writes, counted up.
  uint64_t Extend(size_t count) {
    MutexLock lock(mutex_);
    const uint64_t expected = last_;
    last_ += count;
    return expected;
  }
  // The first failure decides; those behind it in the pipeline only follow.
  absl::Status Break(const absl::Status& status) {
    MutexLock lock(mutex_);
    if (dead_.ok()) dead_ = status;
    return dead_;
  }

 private:
  const std::string id_;
  mutable Mutex mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_);
  absl::Status dead_ ABSL_GUARDED_BY(mutex_);
};

// One Append: calls back when all of its writes are acknowledged.
class Batch {
 public:
  Batch(size_t writes, uint64_t last, std::function<void(absl::StatusOr<uint64_t>)> done)
      : missing_(writes), last_(last), done_(std::move(done)) {}

  void Acknowledge(const absl::Status& status) {
    {
      MutexLock lock(mutex_);
      if (status_.ok()) status_ = status;
      if (--missing_ > 0) return;
    }
    if (status_.ok()) {
      done_(last_);
    } else {
      done_(status_);
    }
  }

 private:
  Mutex mutex_;
  size_t missing_;
  absl::Status status_;  // constant once nothing is missing
  const uint64_t last_;
  const std::function<void(absl::StatusOr<uint64_t>)> done_;
};

class NatsRecordLog : public RecordLog {
 public:
  NatsRecordLog(JetStreamContext context, KeyValueOptions bucket)
      : context_(std::move(context)),
        bucket_(std::move(bucket)),
        state_(std::make_shared<State>()) {}

  ~NatsRecordLog() override;

  void Follow() override;
  void Open(RecordWrite barrier, std::function<void(absl::StatusOr<Opened>)> done) override;
  void Append(std::vector<RecordWrite> writes,
              std::function<void(absl::StatusOr<uint64_t>)> done) override;
  bool durable() const override { return !bucket_.memory_storage; }

 private:
  using OpenCallback = std::function<void(absl::StatusOr<Opened>)>;
  struct State {
    Mutex mutex;
    std::shared_ptr<Chain> chain ABSL_GUARDED_BY(mutex);
    // Destroyed by the log only: the readers' own callbacks may be the last to hold this.
    std::shared_ptr<NatsOrderedReader> loader ABSL_GUARDED_BY(mutex);
    std::shared_ptr<NatsRecordFollower> follower ABSL_GUARDED_BY(mutex);
    bool opened ABSL_GUARDED_BY(mutex) = false;
    bool closed ABSL_GUARDED_BY(mutex) = false;
  };
  struct Opening {
    JetStreamContext context;
    KeyValueOptions bucket;
    std::weak_ptr<State> state;
    std::weak_ptr<NatsRecordFollower> follower;  // empty: everything is to be read
    RecordWrite barrier;
    OpenCallback done;
    std::string chain_id = NewUuid();
    int attempts_left = kBarrierAttempts;
  };
  using OpeningPtr = std::shared_ptr<Opening>;

  // Open, step by step.
  static void FindEnd(const OpeningPtr& opening);
  static void WriteBarrier(const OpeningPtr& opening, const NatsRecordFollower::End& end);
  static void TakeCopy(const OpeningPtr& opening, const NatsRecordFollower::End& end,
                       uint64_t barrier);
  static void Load(const OpeningPtr& opening, uint64_t barrier);
  static void Finish(const OpeningPtr& opening, absl::StatusOr<Opened> result);

  absl::Status CheckWrites(const std::vector<RecordWrite>& writes) const;

  const JetStreamContext context_;
  const KeyValueOptions bucket_;
  const std::shared_ptr<State> state_;
  Strand retired_{
      "log-retired"};  // joins the readers of an earlier Open, which may be what calls Open
};

NatsRecordLog::~NatsRecordLog() {
  std::shared_ptr<NatsOrderedReader> loader;
  std::shared_ptr<NatsRecordFollower> follower;
  {
    MutexLock lock(state_->mutex);
    state_->closed = true;
    loader.swap(state_->loader);
    follower.swap(state_->follower);
  }
  loader.reset();
  follower.reset();
}

void NatsRecordLog::Follow() {
  auto follower = std::make_shared<NatsRecordFollower>(context_, bucket_);
  MutexLock lock(state_->mutex);
  state_->follower.swap(follower);
}

void NatsRecordLog::Open(RecordWrite barrier, OpenCallback done) {
  if (absl::Status valid = CheckWrites({barrier}); !valid.ok()) return done(valid);
  std::shared_ptr<NatsOrderedReader> previous;
  std::shared_ptr<NatsRecordFollower> spent, follower;
  {
    MutexLock lock(state_->mutex);
    previous.swap(state_->loader);
    if (std::exchange(state_->opened, true)) spent.swap(state_->follower);
    follower = state_->follower;
    state_->chain = nullptr;
  }
  if (previous != nullptr) {
    previous->Quit();
    retired_.Post([previous = std::move(previous)] {});
  }
  if (spent != nullptr) {
    spent->Quit();
    retired_.Post([spent = std::move(spent)] {});
  }
  auto opening = std::make_shared<Opening>();
  opening->follower = follower;
  opening->context = context_;
  opening->bucket = bucket_;
  opening->state = state_;
  opening->barrier = std::move(barrier);
  opening->done = std::move(done);
  EnsureBucket(context_, bucket_, [opening](const absl::Status& status) {
    if (!status.ok()) return opening->done(status);
    FindEnd(opening);
  });
}

void NatsRecordLog::FindEnd(const OpeningPtr& opening) {
  CallJetStream(
      opening->context, absl::StrCat("STREAM.INFO.", StreamOf(opening->bucket)), "",
      [opening](absl::StatusOr<std::shared_ptr<rapidjson::Document>> info) {
        if (!info.ok()) return opening->done(info.status());
        const rapidjson::Document& answer = **info;
        const rapidjson::Value* last = rapidjson::Pointer("/state/last_seq").Get(answer);
        const rapidjson::Value* messages = rapidjson::Pointer("/state/messages").Get(answer);
        const rapidjson::Value* created = rapidjson::Pointer("/created").Get(answer);
        if (last == nullptr || !last->IsUint64() || messages == nullptr || !messages->IsUint64()) {
          return opening->done(absl::InternalError("the broker does not tell the stream's end"));
        }
        WriteBarrier(
            opening,
            {.created = created != nullptr && created->IsString() ? created->GetString() : "",
             .last_sequence = last->GetUint64(),
             .messages = messages->GetUint64()});
      });
}

void NatsRecordLog::WriteBarrier(const OpeningPtr& opening, const NatsRecordFollower::End& end) {
  PublishToStream(
      opening->context,
      MessageOf(opening->bucket, opening->chain_id, opening->barrier, end.last_sequence),
      [opening, end](absl::StatusOr<uint64_t> sequence) {
        // Somebody wrote between the look and the write: look again.
        if (absl::IsAborted(sequence.status()) && --opening->attempts_left > 0) {
          return FindEnd(opening);
        }
        if (!sequence.ok()) return opening->done(sequence.status());
        TakeCopy(opening, end, *sequence);
      });
}

void NatsRecordLog::TakeCopy(const OpeningPtr& opening, const NatsRecordFollower::End& end,
                             uint64_t barrier) {
  const std::shared_ptr<NatsRecordFollower> follower = opening->follower.lock();
  if (follower == nullptr) return Load(opening, barrier);
  follower->Take(end, barrier, [opening, barrier](absl::StatusOr<std::vector<Record>> records) {
    if (!records.ok()) {
      LOG(INFO) << "the records are read anew, as their copy cannot be relied on: "
                << records.status().message();
      return Load(opening, barrier);
    }
    Finish(opening,
           Opened{.barrier_sequence = barrier, .records = *std::move(records), .followed = true});
  });
}

void NatsRecordLog::Finish(const OpeningPtr& opening, absl::StatusOr<Opened> result) {
  if (const std::shared_ptr<State> state = opening->state.lock(); state != nullptr && result.ok()) {
    MutexLock lock(state->mutex);
    state->chain = std::make_shared<Chain>(opening->chain_id, result->barrier_sequence);
  }
  opening->done(std::move(result));
}

void NatsRecordLog::Load(const OpeningPtr& opening, uint64_t barrier) {
  const std::shared_ptr<State> state = opening->state.lock();
  if (state == nullptr) return opening->done(absl::CancelledError("the log was closed"));

  // On the reader's strand, but for `done`.
  struct Loading {
    RecordCopy records;
    absl::Time deadline = absl::Now() + kLoadTimeout;
    std::atomic<bool> done{false};
  };
  auto loading = std::make_shared<Loading>();
  const std::weak_ptr<State> weak = state;
  const auto finish = [opening, loading, weak](absl::StatusOr<Opened> result) {
    if (loading->done) return;
    loading->done = true;
    if (const std::shared_ptr<State> alive = weak.lock(); alive != nullptr) {
      MutexLock lock(alive->mutex);
      if (alive->loader != nullptr) alive->loader->Quit();
    }
    Finish(opening, std::move(result));
  };

  NatsOrderedReader::Callbacks callbacks;
  callbacks.on_message = [barrier, loading, finish,
                          bucket = opening->bucket](const StoredMessage& message) {
    if (message.sequence > barrier) {
      // The own barrier has been replaced by the next leader's.
      return finish(absl::AbortedError("another coordinator has opened the log since"));
    }
    loading->records.Apply(EntryOf(bucket, message));
    if (message.sequence < barrier) return;
    finish(Opened{.barrier_sequence = barrier, .records = loading->records.Take()});
  };
  callbacks.on_trouble = [loading, finish](const absl::Status& status) {
    if (absl::Now() > loading->deadline || absl::IsCancelled(status)) finish(status);
  };
  auto reader = std::make_shared<NatsOrderedReader>(
      opening->context, NatsOrderedReader::OfBucket(opening->context, opening->bucket, ">"),
      std::move(callbacks));
  {
    MutexLock lock(state->mutex);
    if (!state->closed) reader.swap(state->loader);
    if (loading->done && state->loader != nullptr) state->loader->Quit();
  }
  // What is left here is not wanted: this log was closed, or a second Open overlapped.
  if (reader != nullptr) reader->Quit();
}

absl::Status NatsRecordLog::CheckWrites(const std::vector<RecordWrite>& writes) const {
  const auto most = static_cast<size_t>(context_.bus->max_payload());
  for (const RecordWrite& write : writes) {
    RETURN_IF_ERROR(CheckKey(write.key));
    if (!write.remove && write.value.size() + kHeaderRoom > most) {
      return absl::ResourceExhaustedError(
          absl::StrCat("record ", write.key, " of ", write.value.size(),
                       " bytes is larger than the broker takes (max_payload is ", most, " bytes)"));
    }
  }
  return absl::OkStatus();
}

void NatsRecordLog::Append(std::vector<RecordWrite> writes,
                           std::function<void(absl::StatusOr<uint64_t>)> done) {
  std::shared_ptr<Chain> chain;
  {
    MutexLock lock(state_->mutex);
    chain = state_->chain;
  }
  if (chain == nullptr) return done(absl::FailedPreconditionError("the log is not open"));
  if (absl::Status dead = chain->dead(); !dead.ok()) return done(dead);
  // Refused before anything is sent, so the chain stays whole.
  if (absl::Status valid = CheckWrites(writes); !valid.ok()) return done(valid);
  uint64_t expected = chain->Extend(writes.size());
  if (writes.empty()) return done(expected);

  auto batch = std::make_shared<Batch>(writes.size(), expected + writes.size(), std::move(done));
  for (RecordWrite& write : writes) {
    OutgoingMessage message = MessageOf(bucket_, chain->id(), std::move(write), expected);
    message.headers.emplace_back(kExpectedLastMessageIdHeader,
                                 absl::StrCat(chain->id(), ".", expected - 1));
    PublishToStream(
        context_, std::move(message), [chain, batch, expected](absl::StatusOr<uint64_t> sequence) {
          if (sequence.ok() && *sequence != expected + 1) {
            sequence = absl::AbortedError("the log's sequence has jumped");
          }
          batch->Acknowledge(sequence.ok() ? absl::OkStatus() : chain->Break(sequence.status()));
        });
    ++expected;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordLog>> OpenNatsRecordLog(JetStreamContext context,
                                                             KeyValueOptions options) {
  RETURN_IF_ERROR(CheckBucketName(options.bucket));
  RETURN_IF_ERROR(EnsureBucketAndWait(context, options));
  return std::make_unique<NatsRecordLog>(std::move(context), std::move(options));
}

}  // namespace varpulis::transport
