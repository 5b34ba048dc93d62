// An event that crashes every worker that processes it, in an exactly-once group.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <future>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/event.pb.h"

#include "base/mutex.h"
#include "test/cluster/harness/cluster.h"

namespace varpulis::testing {
namespace {

using ::testing::ElementsAre;

// With a large `n` it takes more memory than a worker of this test may have.
std::string Hungry(int lists) {
  const std::string ranges = absl::StrJoin(std::vector<std::string>(lists, "range(n)"), ", ");
  return absl::StrCat(R"json({
  "name": "hungry", "delivery": "exactly_once",
  "pipelines": [{"name": "p", "source": "stream Out = Raw .emit(id: id, size: len([)json",
                      ranges, R"json(]))"}]})json");
}

// What is stored on the stream's subject, as the first field of each event.
class Reader {
 public:
  Reader(transport::EventStreams& streams, transport::Subjects::Stream stream) {
    transport::EventStreamOptions options;
    options.name = std::move(stream.name);
    options.subject = std::move(stream.subject);
    reader_ = streams.Read(options, 0, [this](const transport::StoredMessage& stored) {
      v1::EventBatch batch;
      MutexLock lock(mutex_);
      const auto payload = stored.message.payload();
      if (!batch.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
      for (const v1::Event& event : batch.events()) {
        ids_.push_back(event.fields(0).value().int_value());
      }
    });
  }
  std::vector<int64_t> ids() const {
    MutexLock lock(mutex_);
    return ids_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<int64_t> ids_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<transport::Subscription> reader_;
};

// No more than this worker has mapped by now, and a little.
void LimitMemory(pid_t pid) {
  uint64_t pages = 0;
  std::ifstream(absl::StrCat("/proc/", pid, "/statm")) >> pages;
  ASSERT_GT(pages, 0u);
  const rlim_t bytes = pages * static_cast<rlim_t>(getpagesize()) + (rlim_t{256} << 20);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  ASSERT_EQ(prlimit(pid, RLIMIT_AS, &limit, nullptr), 0) << strerror(errno);
}

v1::EventBatch Raw(int64_t id, int64_t n) {
  v1::EventBatch batch;
  v1::Event& event = *batch.add_events();
  event.set_event_type("Raw");
  for (const auto& [name, value] : {std::pair("id", id), std::pair("n", n)}) {
    v1::Field& field = *event.add_fields();
    field.set_name(name);
    field.mutable_value()->set_int_value(value);
  }
  return batch;
}

TEST(PoisonTest, AnEventThatCrashedThreeWorkersIsPutAside) {
  constexpr int kWorkers = 5;
  Cluster cluster({.workers = kWorkers});
  ASSERT_TRUE(cluster.Start());
  const std::string group = cluster.Deploy(Hungry(30));
  ASSERT_FALSE(group.empty());
  for (int i = 0; i < kWorkers; ++i) LimitMemory(cluster.worker(i).pid());

  const auto streams = cluster.bus().OpenEventStreams();
  const transport::Subjects& subjects = cluster.subjects();
  const auto store = [&](int64_t id, int64_t n) {
    auto done = std::make_shared<std::promise<absl::Status>>();
    streams->Publish({.subject = subjects.Pipeline(group, transport::kExternal, "p"),
                      .payload = Raw(id, n).SerializeAsString(),
                      .headers = {},
                      .reply_to = ""},
                     [done](const auto& stored) { done->set_value(stored.status()); });
    const absl::Status stored = done->get_future().get();
    ASSERT_TRUE(stored.ok()) << stored;
  };
  Reader outputs(*streams, subjects.OutboxStream(group, "p", 0));
  store(1, 1);
  ASSERT_TRUE(WaitUntil([&] { return outputs.ids().size() == 1; }));
  store(2, 1'000'000);
  store(3, 1);
  EXPECT_TRUE(WaitUntil([&] { return outputs.ids().size() == 2; }));
  EXPECT_THAT(outputs.ids(), ElementsAre(1, 3));

  Reader letters(*streams, subjects.DeadLetterStream());
  EXPECT_TRUE(WaitUntil([&] { return !letters.ids().empty(); }));
  EXPECT_THAT(letters.ids(), ElementsAre(2));
  int dead = 0;
  for (int i = 0; i < kWorkers; ++i) {
    siginfo_t info = {};
    dead += waitid(P_PID, static_cast<id_t>(cluster.worker(i).pid()), &info,
                   WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0;
  }
  EXPECT_EQ(dead, 3);
}

}  // namespace
}  // namespace varpulis::testing
