#include "transport/subjects.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::transport {
namespace {

using absl::StatusCode;

TEST(SubjectsTest, SpellsTheDocumentedSubjects) {
  const Subjects s;
  EXPECT_EQ(s.Register(), "varpulis.cluster.register");
  EXPECT_EQ(s.Heartbeat("w0"), "varpulis.cluster.heartbeat.w0");
  EXPECT_EQ(s.AnyHeartbeat(), "varpulis.cluster.heartbeat.*");
  EXPECT_EQ(s.Command("w0", "deploy"), "varpulis.cluster.cmd.w0.deploy");
  EXPECT_EQ(s.Inject("g"), "varpulis.cluster.inject.g");
  EXPECT_EQ(s.AnyInject(), "varpulis.cluster.inject.*");
  EXPECT_EQ(s.InjectBatch("g"), "varpulis.cluster.inject_batch.g");
  EXPECT_EQ(s.AnyInjectBatch(), "varpulis.cluster.inject_batch.*");
  EXPECT_EQ(s.Pipeline("g", kExternal, "p"), "varpulis.cluster.pipeline.g._external.p");
  EXPECT_EQ(s.AnyIntoPipeline("g", "p"), "varpulis.cluster.pipeline.g.*.p");
  EXPECT_EQ(s.Output("g", "p"), "varpulis.cluster.output.g.p");
  EXPECT_EQ(s.Api("workers", "list"), "varpulis.cluster.api.workers.list");
  EXPECT_EQ(s.Notice("leader_changed"), "varpulis.cluster.notice.leader_changed");
  EXPECT_EQ(s.AnyNotice(), "varpulis.cluster.notice.*");
}

TEST(SubjectsTest, EverySubjectHangsUnderTheGivenRoot) {
  const Subjects s("eu.prod");
  EXPECT_EQ(s.Register(), "eu.prod.register");
  EXPECT_EQ(s.Pipeline("g", "a", "b"), "eu.prod.pipeline.g.a.b");
  EXPECT_EQ(s.ParsePipeline("eu.prod.pipeline.g.a.b")->from, "a");
  EXPECT_EQ(s.TokenAfter("heartbeat", "eu.prod.heartbeat.w"), "w");
}

TEST(SubjectsTest, ParsesWhatItBuilds) {
  const Subjects s;
  EXPECT_EQ(s.TokenAfter("heartbeat", s.Heartbeat("worker-0")), "worker-0");
  EXPECT_EQ(s.TokenAfter("inject", s.Inject("g_1")), "g_1");
  EXPECT_EQ(s.TokenAfter("inject_batch", s.InjectBatch("g")), "g");
  const auto parsed = s.ParsePipeline(s.Pipeline("g", kExternal, "p-1"));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->group, "g");
  EXPECT_EQ(parsed->from, "_external");
  EXPECT_EQ(parsed->to, "p-1");
}

TEST(SubjectsTest, RefusesHostileSubjects) {
  const Subjects s;
  for (const char* subject :
       {"", "varpulis.cluster.heartbeat", "varpulis.cluster.heartbeat.", "x.heartbeat.w",
        "varpulis.cluster.heartbeat.*", "varpulis.cluster.heartbeat.>",
        "varpulis.cluster.heartbeat.a.b", "varpulis.cluster.heartbeat..a",
        "varpulis.cluster.heartbeat.a b", "varpulis.cluster.heartbeat.a\r\n",
        "varpulis.clusterheartbeat.a", "varpulis.cluster.heartbeatx.a", "varpulis.cluster.inject.a",
        "Varpulis.cluster.heartbeat.a", "varpulis.cluster.heartbeat.\xc3\xa9"}) {
    EXPECT_EQ(s.TokenAfter("heartbeat", subject), std::nullopt) << subject;
  }
  // "inject" must not be taken for "inject_batch" or the other way round.
  EXPECT_EQ(s.TokenAfter("inject", s.InjectBatch("g")), std::nullopt);
  EXPECT_EQ(s.TokenAfter("inject_batch", s.Inject("g")), std::nullopt);
  for (const char* subject : {"", "varpulis.cluster.pipeline", "varpulis.cluster.pipeline.g.a",
                              "varpulis.cluster.pipeline.g.a.b.c",
                              "varpulis.cluster.pipeline.g.*.b", "varpulis.cluster.pipeline.g..b",
                              "varpulis.cluster.pipeline.g.a.>", "varpulis.cluster.output.g.a.b",
                              "other.pipeline.g.a.b", "varpulis.cluster.pipeline.g.a.b#0"}) {
    EXPECT_FALSE(s.ParsePipeline(subject).has_value()) << subject;
  }
}

TEST(SubjectsTest, DifferentRootsHaveDifferentBuckets) {
  EXPECT_EQ(Subjects().StateBucket(), "VARPULIS_CLUSTER_STATE");
  EXPECT_EQ(Subjects("eu.prod").StateBucket(), "VARPULIS_CLUSTER_STATE_eu_prod");
  std::set<std::string> buckets;
  const char* roots[] = {"varpulis.cluster",
                         "varpulis_cluster",
                         "varpulis-cluster",
                         "a.b",
                         "a_b",
                         "a-b",
                         "a-ub",
                         "a--b",
                         "a",
                         "A",
                         "LEASE",
                         "-LEASE",
                         "_LEASE"};
  for (const char* root : roots) {
    const std::string bucket = Subjects(root).StateBucket();
    EXPECT_TRUE(buckets.insert(bucket).second) << root << " shares " << bucket;
    EXPECT_TRUE(buckets.insert(Subjects(root).LeaseBucket()).second) << root;
    EXPECT_EQ(bucket.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789_-"),
              std::string::npos);
  }
}

TEST(SubjectsTest, CustomSubjects) {
  const Subjects s;
  for (const char* good : {"a", "plant.line1.out", "varpulis", "varpulis.clusters.x", "a#0.b",
                           "_external", "_INBOXES"}) {
    EXPECT_TRUE(s.ValidateCustomSubject(good).ok()) << good;
  }
  const struct {
    std::string subject;
    const char* rule;
  } refused[] = {
      {"", "1 to 255 bytes"},
      {std::string(256, 'a'), "1 to 255 bytes"},
      {"a b", "without blanks"},
      {"a\tb", "without blanks"},
      {"a\r\nPUB x", "without blanks"},
      {std::string("a\0b", 3), "without blanks"},
      {"caf\xc3\xa9", "printable ASCII"},
      {"a.*", "wildcards"},
      {"a.>", "wildcards"},
      {"a*b", "wildcards"},
      {"$SYS.x", "belongs to NATS"},
      {"$", "belongs to NATS"},
      {"_INBOX.x", "belongs to NATS"},
      {".a", "empty tokens"},
      {"a.", "empty tokens"},
      {"a..b", "empty tokens"},
      {"varpulis.cluster", "belongs to the cluster"},
      {"varpulis.cluster.cmd.w0.deploy", "belongs to the cluster"},
  };
  for (const auto& [subject, rule] : refused) {
    const absl::Status status = s.ValidateCustomSubject(subject);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << subject;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(rule));
  }
}

TEST(SubjectsTest, NamesAreCheckedAtTheEdge) {
  EXPECT_TRUE(ValidateWorkerId(std::string(64, 'w')).ok());
  EXPECT_TRUE(ValidatePipelineName(std::string(128, 'p')).ok());
  EXPECT_TRUE(ValidateGroupId("0b7c1c34-63a3-4bd5-9f0e-6c1f7a3d2b11").ok());
  for (const std::string& bad :
       {std::string(), std::string(129, 'p'), std::string("a.b"), std::string("*"),
        std::string(">"), std::string("a b"), std::string("a/b"), std::string("../x"),
        std::string("p#0"), std::string("a\nb"), std::string("a\0b", 3), std::string("$SYS"),
        std::string("\xc3\xa9")}) {
    EXPECT_EQ(ValidateWorkerId(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(ValidatePipelineName(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(ValidateGroupId(bad).code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(ValidatePipelineId(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(ValidateWorkerId(std::string(65, 'w')).ok());
  EXPECT_FALSE(ValidatePipelineName("_external").ok());
  EXPECT_EQ(ValidateWorkerId("a.b").message(),
            "worker id must be 1 to 64 characters of A-Z a-z 0-9 _ -");
}

TEST(SubjectsTest, Prefixes) {
  for (const char* good : {"varpulis.cluster", "a", "a.b.c", "A_-1"}) {
    EXPECT_TRUE(ValidateSubjectPrefix(good).ok()) << good;
  }
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "$SYS", "a b", "a.*", "a.>", "_INBOX",
                          "_INBOX.a", "caf\xc3\xa9"}) {
    EXPECT_EQ(ValidateSubjectPrefix(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(ValidateSubjectPrefix(std::string(65, 'a')).ok());
}

TEST(SubjectsTest, MqttTopicsBecomeSubjects) {
  EXPECT_EQ(SubjectOfMqttTopic("plant/line1").value(), "plant.line1");
  EXPECT_EQ(SubjectOfMqttTopic("a").value(), "a");
  for (const char* bad :
       {"", "/a", "a/", "a//b", "a.b", "a/+", "a/#", "a b", "a/*", "a/>", "$SYS/x", "a\n"}) {
    EXPECT_EQ(SubjectOfMqttTopic(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace varpulis::transport
