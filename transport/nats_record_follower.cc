#include "transport/nats_record_follower.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transport/record_copy.h"

namespace varpulis::transport {

namespace {

// Without a message for so long, the copy is given up and the stream read as a whole, which takes
// less time than it takes to notice that a consumer is gone.
constexpr absl::Duration kPatience = absl::Milliseconds(250);

}  // namespace

// Lives on the reader's strand.
class NatsRecordFollower::Following : public std::enable_shared_from_this<Following> {
 public:
  explicit Following(KeyValueOptions bucket) : bucket_(std::move(bucket)) {}

  void OnStart(const std::string& created) {
    copy_.Clear();
    created_ = created;
    last_ = 0;
    keys_before_last_ = 0;
    if (wanted_.has_value()) GiveUp("it was begun anew");
  }

  void OnMessage(const StoredMessage& message) {
    keys_before_last_ = copy_.keys();
    copy_.Apply(EntryOf(bucket_, message));
    last_ = message.sequence;
    if (wanted_.has_value()) Compare();
  }

  // `reader` is the one on whose strand this lives.
  void Take(NatsOrderedReader& reader, End end, uint64_t barrier, TakeCallback done) {
    wanted_ = Wanted{&reader, std::move(end), barrier, std::move(done)};
    if (wanted_->end.created.empty() || wanted_->end.created != created_) {
      return GiveUp("it is of another stream, or not begun");
    }
    Compare();
    if (wanted_.has_value()) BePatient();
  }

 private:
  struct Wanted {
    NatsOrderedReader* reader = nullptr;
    End end;
    uint64_t barrier = 0;
    TakeCallback done;
  };

  void Compare() {
    const End& end = wanted_->end;
    if (last_ < wanted_->barrier) return;
    if (last_ > wanted_->barrier || wanted_->barrier != end.last_sequence + 1) {
      return GiveUp("others have written meanwhile");
    }
    if (keys_before_last_ != end.messages) {
      return GiveUp(absl::StrCat("it has ", keys_before_last_, " keys, and the stream ",
                                 end.messages, " messages"));
    }
    Finish(copy_.Take());
  }

  void BePatient() {
    wanted_->reader->After(kPatience, [this, last = last_] {
      if (!wanted_.has_value()) return;
      if (last == last_) return GiveUp("the barrier is not delivered");
      BePatient();
    });
  }

  void GiveUp(const std::string& why) { Finish(absl::UnavailableError(why)); }

  void Finish(absl::StatusOr<std::vector<Record>> result) {
    copy_.Clear();
    Wanted wanted = *std::move(wanted_);
    wanted_.reset();
    wanted.reader->Quit();
    wanted.done(std::move(result));
  }

  const KeyValueOptions bucket_;
  std::string created_;  // of the stream that is read
  RecordCopy copy_;
  uint64_t last_ = 0;            // sequence of the newest message in it
  size_t keys_before_last_ = 0;  // in the copy when that came
  std::optional<Wanted> wanted_;
};

namespace {

NatsOrderedReader::Options FromTheBeginning(const JetStreamContext& context,
                                            const KeyValueOptions& bucket) {
  NatsOrderedReader::Options options = NatsOrderedReader::OfBucket(context, bucket, ">");
  options.start_over = true;
  return options;
}

}  // namespace

NatsRecordFollower::NatsRecordFollower(const JetStreamContext& context,
                                       const KeyValueOptions& bucket)
    : following_(std::make_shared<Following>(bucket)),
      reader_(std::make_unique<NatsOrderedReader>(
          context, FromTheBeginning(context, bucket),
          NatsOrderedReader::Callbacks{
              .on_message = [following = following_](
                                const StoredMessage& message) { following->OnMessage(message); },
              .on_caught_up = {},
              .on_trouble = {},
              .on_start = [following = following_](
                              const std::string& created) { following->OnStart(created); }})) {}

NatsRecordFollower::~NatsRecordFollower() = default;

void NatsRecordFollower::Take(End end, uint64_t barrier, TakeCallback done) {
  reader_->Post([following = following_, reader = reader_.get(), end = std::move(end), barrier,
                 done = std::move(done)] { following->Take(*reader, end, barrier, done); });
}

void NatsRecordFollower::Quit() { reader_->Quit(); }

}  // namespace varpulis::transport
