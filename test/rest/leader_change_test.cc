// A leader dies with calls in its hands, and another says that it leads.

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/cluster.pb.h"

#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

constexpr char kGroup[] = "7f9c24e8-3b12-4fef-91e0-1b2d3c4e5f60";

class LeaderChangeTest : public ShimTest {
 protected:
  // Serves `subject` with a leader that dies of its first call, and a successor that answers.
  template <typename Request, typename Reply>
  void ServeByTwo(const std::string& subject) {
    Defer<Request, Reply>(subject, [this](const Request&, transport::Replier<Reply> replier) {
      request_ids_.push_back(last_context_.request_id);
      if (request_ids_.size() > 1) return replier.Reply(Reply());
      held_ = std::make_shared<transport::Replier<Reply>>(std::move(replier));
      transport::OutgoingMessage notice;
      notice.subject = subjects_.Notice("leader_changed");
      EXPECT_TRUE(bus_->Publish(notice).ok());
    });
  }
  static CoordinatorShimOptions Impatient() {
    CoordinatorShimOptions options;
    options.timeout = absl::Milliseconds(300);
    return options;
  }

  std::vector<std::string> request_ids_;  // of the bus's thread; read after the answer has come
  std::shared_ptr<void> held_;
};

TEST_F(LeaderChangeTest, AReadIsSentAgain) {
  ServeByTwo<v1::ListRequest, v1::ListWorkersResponse>(subjects_.Api("workers", "list"));
  ServeCoordinator();
  EXPECT_EQ(Get("/api/v1/cluster/workers").status, 200);
  EXPECT_EQ(calls_, 2);
}

TEST_F(LeaderChangeTest, AChangeIsSentAgainUnderTheSameId) {
  ServeByTwo<v1::GroupRequest, v1::DeleteGroupResponse>(subjects_.Api("groups", "delete"));
  ServeCoordinator();
  EXPECT_EQ(Delete(std::string("/api/v1/cluster/pipeline-groups/") + kGroup).status, 200);
  ASSERT_EQ(request_ids_.size(), 2u);
  EXPECT_FALSE(request_ids_[0].empty());
  EXPECT_EQ(request_ids_[0], request_ids_[1]);
}

TEST_F(LeaderChangeTest, AnEventIsSentAgainIfItCanBeKnownAgain) {
  ServeByTwo<v1::InjectRequest, v1::InjectResponse>(subjects_.Inject(kGroup));
  ServeCoordinator();
  const std::string path = std::string("/api/v1/cluster/pipeline-groups/") + kGroup + "/inject";
  EXPECT_EQ(Post(path, R"({"event_type":"X"})", {"Idempotency-Key: e1"}).status, 200);
  EXPECT_EQ(calls_, 2);
}

TEST_F(LeaderChangeTest, AnEventWithoutAnIdIsNot) {
  ServeByTwo<v1::InjectRequest, v1::InjectResponse>(subjects_.Inject(kGroup));
  ServeCoordinator({}, {}, Impatient());
  const std::string path = std::string("/api/v1/cluster/pipeline-groups/") + kGroup + "/inject";
  EXPECT_EQ(Post(path, R"({"event_type":"X"})").status, 504);
  EXPECT_EQ(calls_, 1);
}

}  // namespace
}  // namespace varpulis::rest
