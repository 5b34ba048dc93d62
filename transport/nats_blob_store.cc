#include "transport/nats_blob_store.h"

#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

#include "base/ids.h"
#include "base/strand.h"
#include "proto/blob.pb.h"
#include "transport/nats_ensure_stream.h"

namespace varpulis::transport {
namespace {

using varpulis::blob::v1::Manifest;
using varpulis::blob::v1::Version;

constexpr uint32_t kFormat = 1;
constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kHeaderRoom = 1024;  // what subject and headers take of max_payload, amply
// On the way at once: 8 MiB, below what a connection keeps unwritten before it makes us wait.
constexpr size_t kWindow = 32;
constexpr int kManifestAttempts = 10;
constexpr int kChunkAttempts = 3;  // a follower may answer that does not have it yet

uint32_t Checksum(absl::string_view bytes) {
  return crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
}

// What operations share, and may need after the store is gone.
struct Shared {
  Shared(JetStreamContext given_context, BlobStoreOptions given_options)
      : context(std::move(given_context)),
        options(std::move(given_options)),
        replicas(options.replicas) {}

  const JetStreamContext context;
  const BlobStoreOptions options;
  std::atomic<int> replicas;
  std::atomic<int> ensured_replicas{0};  // 0: the stream may not be there
};
using SharedPtr = std::shared_ptr<Shared>;

std::string ManifestSubject(const std::string& name) { return absl::StrCat(name, ".manifest"); }
std::string ChunkSubject(const std::string& name, absl::string_view id) {
  return absl::StrCat(name, ".chunk.", id);
}

void EnsureOwnStream(const SharedPtr& shared, std::function<void(absl::Status)> done) {
  const int replicas = shared->replicas;
  if (shared->ensured_replicas == replicas) return done(absl::OkStatus());
  const BlobStoreOptions& options = shared->options;
  const std::string max_bytes =
      options.max_bytes == 0 ? std::string("-1") : absl::StrCat(options.max_bytes);
  // "discard":"new": a full store refuses the newest rather than lose what another relies on.
  EnsureStream(
      shared->context, options.stream,
      absl::StrCat(R"({"name":")", options.stream, R"(","subjects":[")", options.subject,
                   R"(.>"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":)",
                   max_bytes, R"(,"max_msg_size":-1,"max_age":0,"storage":"file","discard":"new",)",
                   R"("num_replicas":)", replicas,
                   R"(,"duplicate_window":1000000000,"allow_direct":true})"),
      replicas, [shared, replicas, done = std::move(done)](const auto& ensured) {
        if (ensured.ok()) shared->ensured_replicas = replicas;
        done(ensured.status());
      });
}

struct StoredManifest {
  uint64_t sequence = 0;  // 0: there is none
  Manifest manifest;
};

void ReadManifest(const SharedPtr& shared, const std::string& name,
                  std::function<void(absl::StatusOr<StoredManifest>)> done) {
  ReadLastMessage(shared->context, shared->options.stream, ManifestSubject(name),
                  [name, done = std::move(done)](absl::StatusOr<EventStreams::LastMessage> last) {
                    StoredManifest stored;
                    if (absl::IsNotFound(last.status())) return done(stored);
                    if (!last.ok()) return done(last.status());
                    stored.sequence = last->sequence;
                    if (!stored.manifest.ParseFromString(last->payload)) {
                      LOG(ERROR) << "the manifest of " << name
                                 << " is unreadable, its versions are lost";
                      stored.manifest.Clear();
                    }
                    if (stored.manifest.version() > kFormat) {
                      return done(absl::InternalError(absl::StrCat(
                          "the manifest of ", name, " has format ", stored.manifest.version(),
                          ", this build reads up to ", kFormat)));
                    }
                    done(std::move(stored));
                  });
}

void Purge(const SharedPtr& shared, const std::string& json) {
  CallJetStream(shared->context, absl::StrCat("STREAM.PURGE.", shared->options.stream), json,
                [json](const auto& purged) {
                  if (!purged.ok() && !absl::IsNotFound(purged.status())) {
                    LOG(WARNING) << "purging " << json << ": " << purged.status().message();
                  }
                });
}

// One Save or Load. Lives on the strand but for its construction: what the broker answers is posted
// there. An operation that is dropped on the way, because the store has gone, is CANCELLED.
// `Self` has a Look(), its first step.
template <typename Self, typename Callback>
class Operation : public std::enable_shared_from_this<Self> {
 public:
  Operation(SharedPtr shared, std::shared_ptr<Strand> strand, std::string name, Callback done)
      : shared_(std::move(shared)),
        strand_(std::move(strand)),
        name_(std::move(name)),
        done_(std::move(done)) {}
  ~Operation() {
    if (done_) done_(absl::CancelledError("the store was closed"));
  }

  void Begin() {
    EnsureOwnStream(shared_, Then<absl::Status>([](Self& self, const absl::Status& status) {
                      if (!status.ok()) return self.Finish(status);
                      self.Look();
                    }));
  }

 protected:
  // `next`, on the strand.
  template <typename Result, typename Next>
  std::function<void(Result)> Then(Next next) {
    return [self = this->shared_from_this(), next](Result result) {
      self->strand_->Post([self, next, result = std::move(result)] {
        if (self->done_) next(*self, result);
      });
    };
  }
  template <typename Result>
  void Finish(Result result) {
    const Callback done = std::exchange(done_, nullptr);
    done(std::move(result));
  }

  const SharedPtr shared_;
  const std::shared_ptr<Strand> strand_;
  const std::string name_;
  Callback done_;  // null once called
};

class SaveOperation : public Operation<SaveOperation, BlobStore::SaveCallback> {
 public:
  SaveOperation(SharedPtr shared, std::shared_ptr<Strand> strand, std::string name, Blob blob,
                BlobStore::SaveCallback done)
      : Operation(std::move(shared), std::move(strand), std::move(name), std::move(done)),
        blob_(std::move(blob)) {
    version_.set_id(NewUuid());
    version_.set_rank(blob_.rank);
    version_.set_encoding(blob_.encoding);
    version_.set_mark(blob_.mark);
    version_.set_bytes(blob_.data.size());
    chunk_bytes_ = std::min(kChunkBytes,
                            static_cast<size_t>(shared_->context.bus->max_payload()) - kHeaderRoom);
    chunks_ = (blob_.data.size() + chunk_bytes_ - 1) / chunk_bytes_;
    version_.mutable_sequences()->Resize(static_cast<int>(chunks_), 0);
    version_.mutable_checksums()->Resize(static_cast<int>(chunks_), 0);
  }

 private:
  friend Operation;

  // Before the chunks, so that who may not store does not begin; and again when somebody was
  // faster.
  void Look() {
    ReadManifest(shared_, name_,
                 Then<absl::StatusOr<StoredManifest>>(
                     [](SaveOperation& self, const absl::StatusOr<StoredManifest>& stored) {
                       if (!stored.ok()) return self.Finish(stored.status());
                       self.Found(*stored);
                     }));
  }

  void Found(const StoredManifest& stored) {
    before_ = stored;
    for (const Version& version : before_.manifest.versions()) {
      if (version.rank() > version_.rank()) {
        return Finish(absl::AbortedError(absl::StrCat(
            name_, " has a version of rank ", version.rank(), ", above ", version_.rank())));
      }
    }
    if (acknowledged_ == chunks_) return WriteManifest();
    SendChunks();
  }

  void SendChunks() {
    while (sent_ < chunks_ && sent_ - acknowledged_ < kWindow) {
      const size_t index = sent_++;
      OutgoingMessage message;
      message.subject = ChunkSubject(name_, version_.id());
      message.payload = blob_.data.substr(index * chunk_bytes_, chunk_bytes_);
      version_.set_checksums(static_cast<int>(index), Checksum(message.payload));
      PublishToStream(shared_->context, std::move(message),
                      Then<absl::StatusOr<uint64_t>>(
                          [index](SaveOperation& self, const absl::StatusOr<uint64_t>& sequence) {
                            self.Acknowledge(index, sequence);
                          }));
    }
  }

  void Acknowledge(size_t index, const absl::StatusOr<uint64_t>& sequence) {
    if (!sequence.ok()) {
      if (IsNoResponders(sequence.status())) shared_->ensured_replicas = 0;  // it was deleted
      return Fail(sequence.status());
    }
    version_.set_sequences(static_cast<int>(index), *sequence);
    if (++acknowledged_ < chunks_) return SendChunks();
    std::string().swap(blob_.data);
    WriteManifest();
  }

  void WriteManifest() {
    Manifest manifest;
    manifest.set_version(kFormat);
    *manifest.add_versions() = version_;
    for (const Version& version : before_.manifest.versions()) {
      if (manifest.versions_size() >= shared_->options.keep) break;
      *manifest.add_versions() = version;
    }
    OutgoingMessage message;
    message.subject = ManifestSubject(name_);
    message.payload = manifest.SerializeAsString();
    message.headers.emplace_back(kExpectedLastSubjectSequenceHeader,
                                 absl::StrCat(before_.sequence));
    if (static_cast<int64_t>(message.payload.size() + kHeaderRoom) >
        shared_->context.bus->max_payload()) {
      return Fail(absl::ResourceExhaustedError(
          absl::StrCat(name_, ": a version of ", version_.bytes(), " bytes is too large")));
    }
    uint64_t oldest = UINT64_MAX;
    for (const Version& version : manifest.versions()) {
      for (const uint64_t sequence : version.sequences()) oldest = std::min(oldest, sequence);
    }
    PublishToStream(shared_->context, std::move(message),
                    Then<absl::StatusOr<uint64_t>>(
                        [oldest](SaveOperation& self, const absl::StatusOr<uint64_t>& sequence) {
                          if (absl::IsAborted(sequence.status()) && --self.attempts_left_ > 0) {
                            return self.Look();
                          }
                          if (!sequence.ok()) return self.Fail(sequence.status());
                          self.CleanUp(oldest);
                          self.Finish(absl::OkStatus());
                        }));
  }

  void CleanUp(uint64_t oldest) {
    Purge(shared_, absl::StrCat(R"({"filter":")", ManifestSubject(name_), R"(","keep":1})"));
    if (oldest <= 1 || oldest == UINT64_MAX) return;
    Purge(shared_,
          absl::StrCat(R"({"filter":")", ChunkSubject(name_, "*"), R"(","seq":)", oldest, "}"));
  }

  // Its chunks serve nobody.
  void Fail(const absl::Status& status) {
    // When the outcome of the manifest is unknown it may name them; a later Save purges them.
    if (acknowledged_ < chunks_) {
      Purge(shared_, absl::StrCat(R"({"filter":")", ChunkSubject(name_, version_.id()), R"("})"));
    }
    Finish(status);
  }

  Blob blob_;
  Version version_;
  size_t chunk_bytes_ = 0;
  size_t chunks_ = 0, sent_ = 0, acknowledged_ = 0;
  StoredManifest before_;
  int attempts_left_ = kManifestAttempts;
};

class LoadOperation : public Operation<LoadOperation, BlobStore::LoadCallback> {
 public:
  LoadOperation(SharedPtr shared, std::shared_ptr<Strand> strand, std::string name,
                uint64_t min_rank, BlobStore::LoadCallback done)
      : Operation(std::move(shared), std::move(strand), std::move(name), std::move(done)),
        min_rank_(min_rank) {}

 private:
  friend Operation;

  void Look() {
    ReadManifest(shared_, name_,
                 Then<absl::StatusOr<StoredManifest>>(
                     [](LoadOperation& self, const absl::StatusOr<StoredManifest>& stored) {
                       if (!stored.ok()) return self.Finish(stored.status());
                       self.manifest_ = stored->manifest;
                       self.LoadVersion(0);
                     }));
  }

  void LoadVersion(int index) {
    index_ = index;
    if (index >= manifest_.versions_size() || manifest_.versions(index).rank() < min_rank_) {
      if (index == 0)
        return Finish(absl::NotFoundError(absl::StrCat("nothing is stored for ", name_)));
      return Finish(absl::DataLossError(
          absl::StrCat("every version of ", name_, " that is stored is damaged")));
    }
    const Version& version = manifest_.versions(index);
    blob_ = {
        .data = {}, .rank = version.rank(), .encoding = version.encoding(), .mark = version.mark()};
    blob_.data.reserve(version.bytes());
    pieces_.assign(version.sequences_size(), std::string());
    asked_ = arrived_ = 0;
    attempts_left_ = kChunkAttempts;
    if (version.checksums_size() != version.sequences_size()) return Damaged("its manifest");
    if (pieces_.empty()) return Whole();
    AskForChunks();
  }

  void AskForChunks() {
    while (asked_ < pieces_.size() && asked_ - arrived_ < kWindow) Ask(asked_++);
  }

  void Ask(size_t piece) {
    OutgoingMessage message;
    message.subject = absl::StrCat("$JS.API.DIRECT.GET.", shared_->options.stream);
    message.payload = absl::StrCat(
        R"({"seq":)", manifest_.versions(index_).sequences(static_cast<int>(piece)), "}");
    auto arrived = Then<absl::StatusOr<std::shared_ptr<InboundMessage>>>(
        [piece, index = index_](LoadOperation& self,
                                const absl::StatusOr<std::shared_ptr<InboundMessage>>& reply) {
          if (index == self.index_) self.Arrived(piece, reply);
        });
    shared_->context.request(std::move(message), kJetStreamTimeout,
                             [arrived = std::move(arrived)](absl::StatusOr<InboundMessage> reply) {
                               if (!reply.ok()) return arrived(reply.status());
                               arrived(std::make_shared<InboundMessage>(*std::move(reply)));
                             });
  }

  void Arrived(size_t piece, const absl::StatusOr<std::shared_ptr<InboundMessage>>& reply) {
    if (!reply.ok()) return Finish(reply.status());
    const Version& version = manifest_.versions(index_);
    const InboundMessage& message = **reply;
    if (message.Header("Nats-Sequence") !=
        absl::StrCat(version.sequences(static_cast<int>(piece)))) {
      if (--attempts_left_ > 0) return Ask(piece);
      return Damaged("a chunk is missing");
    }
    pieces_[piece] = std::string(message.payload());
    if (Checksum(pieces_[piece]) != version.checksums(static_cast<int>(piece))) {
      return Damaged("a checksum");
    }
    if (++arrived_ < pieces_.size()) return AskForChunks();
    Whole();
  }

  void Whole() {
    for (std::string& piece : pieces_) {
      blob_.data += piece;
      std::string().swap(piece);
    }
    if (blob_.data.size() != manifest_.versions(index_).bytes()) return Damaged("its length");
    Finish(std::move(blob_));
  }

  void Damaged(absl::string_view what) {
    LOG(ERROR) << "version " << manifest_.versions(index_).id() << " of " << name_
               << " is damaged: " << what;
    LoadVersion(index_ + 1);
  }

  const uint64_t min_rank_;
  Manifest manifest_;
  int index_ = 0;
  Blob blob_;
  std::vector<std::string> pieces_;
  size_t asked_ = 0, arrived_ = 0;
  int attempts_left_ = 0;
};

class NatsBlobStore : public BlobStore {
 public:
  NatsBlobStore(JetStreamContext context, BlobStoreOptions options)
      : shared_(std::make_shared<Shared>(std::move(context), std::move(options))) {}
  ~NatsBlobStore() override { strand_->Stop(); }

  void Save(const std::string& name, Blob blob, SaveCallback done) override {
    std::make_shared<SaveOperation>(shared_, strand_, name, std::move(blob), std::move(done))
        ->Begin();
  }
  void Load(const std::string& name, uint64_t min_rank, LoadCallback done) override {
    std::make_shared<LoadOperation>(shared_, strand_, name, min_rank, std::move(done))->Begin();
  }
  void OldestMark(const std::string& name, MarkCallback done) override {
    ReadManifest(shared_, name,
                 [name, done = std::move(done)](const absl::StatusOr<StoredManifest>& stored) {
                   if (!stored.ok()) return done(stored.status());
                   const auto& versions = stored->manifest.versions();
                   if (versions.empty()) {
                     return done(absl::NotFoundError(absl::StrCat("nothing is stored for ", name)));
                   }
                   uint64_t oldest = UINT64_MAX;
                   for (const Version& version : versions)
                     oldest = std::min(oldest, version.mark());
                   done(oldest);
                 });
  }
  void Forget(const std::string& name, SaveCallback done) override {
    CallJetStream(shared_->context, absl::StrCat("STREAM.PURGE.", shared_->options.stream),
                  absl::StrCat(R"({"filter":")", name, R"(.>"})"),
                  [done = std::move(done)](const auto& purged) {
                    done(absl::IsNotFound(purged.status()) ? absl::OkStatus() : purged.status());
                  });
  }
  void SetReplicas(int replicas) override { shared_->replicas = replicas; }

 private:
  const SharedPtr shared_;
  const std::shared_ptr<Strand> strand_ = std::make_shared<Strand>("blobs");
};

}  // namespace

std::unique_ptr<BlobStore> NewNatsBlobStore(JetStreamContext context, BlobStoreOptions options) {
  return std::make_unique<NatsBlobStore>(std::move(context), std::move(options));
}

}  // namespace varpulis::transport
