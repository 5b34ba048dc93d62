#include "transport/nats_key_value.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/nats_ordered_reader.h"
#include "transport/request_mux.h"

namespace varpulis::transport {
namespace {

class WatchHandle : public Subscription {
 public:
  explicit WatchHandle(std::unique_ptr<NatsOrderedReader> reader) : reader_(std::move(reader)) {}
  uint64_t dropped() const override { return 0; }  // a gap is read again

 private:
  const std::unique_ptr<NatsOrderedReader> reader_;
};

std::string Decoded(const rapidjson::Value& message, const char* name) {
  const auto member = message.FindMember(name);
  std::string bytes;
  if (member == message.MemberEnd() || !member->value.IsString()) return bytes;
  absl::Base64Unescape(
      absl::string_view(member->value.GetString(), member->value.GetStringLength()), &bytes);
  return bytes;
}

class NatsKeyValue : public KeyValue {
 public:
  NatsKeyValue(JetStreamContext context, KeyValueOptions options)
      : shared_(std::make_shared<Shared>(Shared{std::move(context), std::move(options)})) {}

  void Get(const std::string& key, EntryCallback done) override {
    if (absl::Status valid = CheckKey(key); !valid.ok()) return done(valid);
    GetRaw(shared_, key, [done = std::move(done), key](absl::StatusOr<KeyValueEntry> entry) {
      if (entry.ok() && entry->deleted) {
        return done(absl::NotFoundError(absl::StrCat("key ", key, " does not exist")));
      }
      done(std::move(entry));
    });
  }

  void Put(const std::string& key, std::string value, RevisionCallback done) override {
    Write(shared_, key, std::move(value), {}, true, std::move(done));
  }

  void Create(const std::string& key, std::string value, RevisionCallback done) override;

  void Update(const std::string& key, std::string value, uint64_t revision,
              RevisionCallback done) override {
    Write(shared_, key, std::move(value), Expecting(revision), true, std::move(done));
  }

  void Delete(const std::string& key, RevisionCallback done) override {
    Write(shared_, key, "", {{kKvOperationHeader, "DEL"}}, true, std::move(done));
  }

  void Delete(const std::string& key, uint64_t revision, RevisionCallback done) override {
    Headers headers = Expecting(revision);
    headers.emplace_back(kKvOperationHeader, "DEL");
    Write(shared_, key, "", std::move(headers), true, std::move(done));
  }

  absl::StatusOr<std::unique_ptr<Subscription>> Watch(const std::string& pattern,
                                                      Watcher watcher) override;

 private:
  struct Shared {  // what callbacks need after this object is gone
    const JetStreamContext context;
    const KeyValueOptions options;
  };
  using SharedPtr = std::shared_ptr<const Shared>;

  static Headers Expecting(uint64_t revision) {
    return {{kExpectedLastSubjectSequenceHeader, absl::StrCat(revision)}};
  }

  // With `may_create`, a bucket that is missing (in memory, and the broker was restarted) is made
  // and the operation is done once more.
  static void Write(const SharedPtr& shared, const std::string& key, std::string value,
                    Headers headers, bool may_create, RevisionCallback done);
  // A removed key is an entry with `deleted`. From the stream's leader, so own writes are seen.
  static void GetRaw(const SharedPtr& shared, const std::string& key, EntryCallback done);

  const SharedPtr shared_;
};

void NatsKeyValue::Write(const SharedPtr& shared, const std::string& key, std::string value,
                         Headers headers, bool may_create, RevisionCallback done) {
  if (absl::Status valid = CheckKey(key); !valid.ok()) return done(valid);
  OutgoingMessage message;
  message.subject = SubjectOfKey(shared->options, key);
  message.headers = headers;
  message.payload = value;
  PublishToStream(shared->context, std::move(message),
                  [=, done = std::move(done)](absl::StatusOr<uint64_t> revision) mutable {
                    if (!may_create || !IsNoResponders(revision.status()))
                      return done(std::move(revision));
                    EnsureBucket(shared->context, shared->options,
                                 [=, done = std::move(done)](const absl::Status& created) mutable {
                                   if (!created.ok()) return done(created);
                                   Write(shared, key, std::move(value), std::move(headers), false,
                                         std::move(done));
                                 });
                  });
}

void NatsKeyValue::GetRaw(const SharedPtr& shared, const std::string& key, EntryCallback done) {
  GetLastMessage(
      shared->context, StreamOf(shared->options), SubjectOfKey(shared->options, key),
      [key, done = std::move(done)](absl::StatusOr<std::shared_ptr<rapidjson::Document>> reply) {
        if (absl::IsNotFound(reply.status())) {
          return done(absl::NotFoundError(absl::StrCat("key ", key, " does not exist")));
        }
        if (!reply.ok()) return done(reply.status());
        const rapidjson::Document& answer = **reply;
        const auto message = answer.FindMember("message");
        if (message == answer.MemberEnd() || !message->value.IsObject() ||
            !message->value.HasMember("seq") || !message->value["seq"].IsUint64()) {
          return done(absl::InternalError("the broker's answer holds no message"));
        }
        KeyValueEntry entry;
        entry.key = key;
        entry.value = Decoded(message->value, "data");
        entry.revision = message->value["seq"].GetUint64();
        const std::string headers = Decoded(message->value, "hdrs");
        entry.deleted = absl::StrContains(headers, "KV-Operation: DEL\r\n") ||
                        absl::StrContains(headers, "KV-Operation: PURGE\r\n");
        done(std::move(entry));
      });
}

void NatsKeyValue::Create(const std::string& key, std::string value, RevisionCallback done) {
  Write(shared_, key, value, Expecting(0), true,
        [shared = shared_, key, value,
         done = std::move(done)](absl::StatusOr<uint64_t> revision) mutable {
          if (!absl::IsAborted(revision.status())) return done(std::move(revision));
          // The key has a last message; it may be the marker of a removal.
          GetRaw(shared, key,
                 [=, done = std::move(done)](absl::StatusOr<KeyValueEntry> entry) mutable {
                   const absl::Status taken =
                       absl::AlreadyExistsError(absl::StrCat("key ", key, " exists already"));
                   if (!entry.ok() && !absl::IsNotFound(entry.status()))
                     return done(entry.status());
                   if (entry.ok() && !entry->deleted) return done(taken);
                   Write(shared, key, value, Expecting(entry.ok() ? entry->revision : 0), false,
                         [done = std::move(done), taken](absl::StatusOr<uint64_t> second) {
                           if (absl::IsAborted(second.status())) return done(taken);
                           done(std::move(second));
                         });
                 });
        });
}

absl::StatusOr<std::unique_ptr<Subscription>> NatsKeyValue::Watch(const std::string& pattern,
                                                                  Watcher watcher) {
  RETURN_IF_ERROR(CheckKeyPattern(pattern));
  NatsOrderedReader::Callbacks callbacks;
  callbacks.on_message = [bucket = shared_->options, on_entry = std::move(watcher.on_entry)](
                             const StoredMessage& message) { on_entry(EntryOf(bucket, message)); };
  callbacks.on_caught_up = std::move(watcher.on_snapshot_done);
  return std::make_unique<WatchHandle>(std::make_unique<NatsOrderedReader>(
      shared_->context, NatsOrderedReader::OfBucket(shared_->context, shared_->options, pattern),
      std::move(callbacks)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyValue>> OpenNatsKeyValue(JetStreamContext context,
                                                           KeyValueOptions options) {
  RETURN_IF_ERROR(CheckBucketName(options.bucket));
  RETURN_IF_ERROR(EnsureBucketAndWait(context, options));
  return std::make_unique<NatsKeyValue>(std::move(context), std::move(options));
}

}  // namespace varpulis::transport
