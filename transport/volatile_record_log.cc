#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "transport/nats_connection.h"

namespace varpulis::transport {
namespace {

// Nobody else can write to it, so nothing is ever refused.
class VolatileRecordLog : public RecordLog {
 public:
  void Follow() override {}  // what Open gives lies here anyway
  void Open(RecordWrite barrier, std::function<void(absl::StatusOr<Opened>)> done) override {
    Store(std::move(barrier));
    Opened opened;
    opened.barrier_sequence = last_;
    std::map<uint64_t, Record> by_sequence;
    for (const auto& [key, record] : records_) by_sequence.emplace(record.sequence, record);
    for (auto& [sequence, record] : by_sequence) opened.records.push_back(std::move(record));
    open_ = true;
    done(std::move(opened));
  }

  void Append(std::vector<RecordWrite> writes,
              std::function<void(absl::StatusOr<uint64_t>)> done) override {
    if (!open_) return done(absl::FailedPreconditionError("the log is not open"));
    for (RecordWrite& write : writes) Store(std::move(write));
    done(last_);
  }

  bool durable() const override { return false; }

 private:
  void Store(RecordWrite write) {
    ++last_;
    if (write.remove) {
      records_.erase(write.key);
    } else {
      records_[write.key] = Record{write.key, std::move(write.value), last_};
    }
  }

  bool open_ = false;
  // Sequences are leader epochs, and a worker refuses one below the highest it has seen: they must
  // not begin again when the coordinator does.
  uint64_t last_ = static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
  std::map<std::string, Record> records_;
};

}  // namespace

std::unique_ptr<RecordLog> NewVolatileRecordLog() { return std::make_unique<VolatileRecordLog>(); }

}  // namespace varpulis::transport
