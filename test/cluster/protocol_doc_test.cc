// A running cluster serves what docs/protocol.md documents, and nothing else.

#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "rapidjson/document.h"

#include "base/mutex.h"
#include "test/cluster/harness/cluster.h"
#include "test/support/protocol_doc.h"

namespace varpulis::testing {
namespace {

using Served = std::map<std::string, std::set<std::string>>;  // by service: subjects

// What coordinator and workers are documented to serve, subscribed to as `*` where a name is free.
Served Documented(const std::string& worker) {
  const std::string document = ReadSource("docs/protocol.md");
  Served served;
  for (const auto& row : TableUnder(document, "## Subjects")) {
    if (row[3] != "request" || absl::StartsWith(row[0], "`$")) continue;
    std::set<std::string>& of_service = served["varpulis-" + row[2]];
    const std::string subject =
        absl::StrReplaceAll(CodeIn(row[0])[0], {{"{root}", "varpulis.cluster"}});
    if (absl::StrContains(subject, ".cmd.")) {
      for (const auto& verb : TableUnder(document, "### Commands")) {
        of_service.insert(
            absl::StrReplaceAll(subject, {{"{worker}", worker}, {"{verb}", CodeIn(verb[0])[0]}}));
      }
    } else if (absl::StrContains(subject, ".api.")) {
      for (const auto& api : TableUnder(document, "### API")) {
        of_service.insert(absl::StrReplaceAll(subject, {{"{resource}.{verb}", CodeIn(api[0])[0]}}));
      }
    } else {
      of_service.insert(absl::StrReplaceAll(subject, {{"{worker}", "*"}, {"{group}", "*"}}));
    }
  }
  return served;
}

TEST(ProtocolDocClusterTest, TheClusterServesWhatIsDocumentedAndNothingElse) {
  Cluster cluster({.workers = 1});
  ASSERT_TRUE(cluster.Start());
  Mutex mutex;
  Served served;
  const auto inbox =
      cluster.bus().Subscribe({.subject = "test.inbox"}, [&](transport::InboundMessage reply) {
        rapidjson::Document info;
        info.Parse(reply.payload().data(), reply.payload().size());
        MutexLock lock(mutex);
        std::set<std::string>& subjects = served[info["name"].GetString()];
        for (const auto& endpoint : info["endpoints"].GetArray()) {
          subjects.insert(endpoint["subject"].GetString());
        }
      });
  ASSERT_TRUE(inbox.ok()) << inbox.status();
  ASSERT_TRUE(cluster.bus().Flush(absl::Seconds(5)).ok());
  ASSERT_TRUE(cluster.bus().Publish({.subject = "$SRV.INFO", .reply_to = "test.inbox"}).ok());
  const Served documented = Documented("worker-0");
  const auto all_have_answered = [&] {
    MutexLock lock(mutex);
    return served.size() >= documented.size();
  };
  EXPECT_TRUE(WaitUntil(all_have_answered));
  MutexLock lock(mutex);
  EXPECT_EQ(served, documented);
}

TEST(ProtocolDocClusterTest, TheDocumentedPermissionsAreEnough) {
  const std::string document = ReadSource("docs/protocol.md");
  std::string allowed;
  for (const char* subject :
       {"{root}.>", "$SRV.>", "_INBOX.>", "$JS.API.>", "$KV.VARPULIS_CLUSTER_STATE.>",
        "$KV.VARPULIS_CLUSTER_STATE-LEASE.>"}) {
    EXPECT_TRUE(absl::StrContains(document, absl::StrCat("`", subject, "`"))) << subject;
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", "\"",
                    absl::StrReplaceAll(subject, {{"{root}", "varpulis.cluster"}}), "\"");
  }
  ClusterOptions options;
  options.broker.extra_config = {
      absl::StrCat("authorization { users: [ { user: u, password: p, permissions: { publish: [ ",
                   allowed, "], subscribe: [ ", allowed, "] } } ] }"),
      "no_auth_user: u"};
  Cluster cluster(options);
  ASSERT_TRUE(cluster.Start());
  const std::string group = cluster.Deploy(
      R"json({"name": "g", "pipelines": [{"name": "p", "source": "stream A = X .emit(v: 1)"}],
              "routes": [{"from_pipeline": "_external", "to_pipeline": "p", "event_types": ["X"]}]})json");
  const HttpReply injected =
      cluster.Post("/pipeline-groups/" + group + "/inject", R"({"event_type": "X"})");
  EXPECT_EQ(injected.status, 200) << injected.body;
  EXPECT_EQ(injected.At("/worker_response/output_events/0/event_type"), "\"A\"") << injected.body;
  // Restarted, it reads what it stored.
  cluster.Kill(cluster.coordinator());
  ASSERT_TRUE(cluster.StartCoordinator());
  ASSERT_TRUE(cluster.WaitForReadyWorkers(2));
  EXPECT_EQ(cluster.Get("/pipeline-groups").At("/total"), "1");
  std::ifstream log(cluster.folder() + "/nats-server.log");
  for (std::string line; std::getline(log, line);) {
    EXPECT_FALSE(absl::StrContains(line, "Violation")) << line;
  }
}

}  // namespace
}  // namespace varpulis::testing
