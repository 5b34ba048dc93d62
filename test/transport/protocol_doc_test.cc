// docs/protocol.md and the subject grammar say the same. That the documented requests are served,
// and no others, test/cluster/protocol_doc_test.cc asks a running cluster.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "test/support/protocol_doc.h"
#include "transport/service_info.h"
#include "transport/subjects.h"

namespace varpulis::transport {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using varpulis::testing::AllMatches;
using varpulis::testing::CodeIn;
using varpulis::testing::ReadSource;
using varpulis::testing::TableUnder;

// Every builder of Subjects by its name, in the document's spelling.
std::map<std::string, std::string> Grammar(const std::string& root = "{root}") {
  const Subjects s(root);
  return {
      {"Register", s.Register()},
      {"Heartbeat", s.Heartbeat("{worker}")},
      {"AnyHeartbeat", s.AnyHeartbeat()},
      {"Command", s.Command("{worker}", "{verb}")},
      {"Inject", s.Inject("{group}")},
      {"AnyInject", s.AnyInject()},
      {"InjectBatch", s.InjectBatch("{group}")},
      {"AnyInjectBatch", s.AnyInjectBatch()},
      {"Pipeline", s.Pipeline("{group}", "{from}", "{to}")},
      {"AnyIntoPipeline", s.AnyIntoPipeline("{group}", "{to}")},
      {"Output", s.Output("{group}", "{pipeline}")},
      {"Api", s.Api("{resource}", "{verb}")},
      {"Notice", s.Notice("{kind}")},
      {"Checkpoint",
       absl::StrReplaceAll(s.Checkpoint("{group}", "{pipeline}", 0), {{".0", ".{replica}"}})},
      {"Replay", absl::StrReplaceAll(s.Replay("{group}", "{pipeline}", 0), {{".0", ".{replica}"}})},
      {"DeadLetter", s.DeadLetter("{group}", "{pipeline}")},
      {"AnyNotice", s.AnyNotice()}};
}

// Whether `subject` is one of those that `form` stands for. In `form`, {x} is any one token.
bool IsOfForm(const std::string& subject, const std::string& form) {
  const std::vector<std::string> tokens = absl::StrSplit(subject, '.');
  const std::vector<std::string> expected =
      absl::StrSplit(absl::StrReplaceAll(form, {{"{root}", kDefaultSubjectPrefix}}), '.');
  if (tokens.size() != expected.size()) return false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!absl::StartsWith(expected[i], "{") && tokens[i] != expected[i]) return false;
  }
  return true;
}

class ProtocolDocTest : public ::testing::Test {
 protected:
  // The first column of the table of subjects.
  std::set<std::string> DocumentedSubjects() const {
    std::set<std::string> subjects;
    for (const auto& row : TableUnder(document_, "## Subjects")) {
      for (const std::string& subject : CodeIn(row[0])) {
        EXPECT_TRUE(subjects.insert(subject).second) << subject << " stands there twice";
      }
    }
    return subjects;
  }

  const std::string document_ = ReadSource("docs/protocol.md");
};

TEST_F(ProtocolDocTest, TheGrammarHereHasEveryBuilder) {
  const std::vector<std::string> builders =
      AllMatches(ReadSource("transport/subjects.h"), R"(\n  std::string (\w+)\()");
  std::set<std::string> expected(builders.begin(), builders.end());
  expected.erase("StateBucket");  // these name no subject
  expected.erase("LeaseBucket");
  expected.erase("Named");
  std::set<std::string> here;
  for (const auto& [name, subject] : Grammar()) here.insert(name);
  EXPECT_EQ(here, expected);
}

TEST_F(ProtocolDocTest, EverySubjectOfTheCodeIsDocumentedAndNoOther) {
  std::set<std::string> formed;
  for (const auto& [name, subject] : Grammar()) {
    if (!absl::StartsWith(name, "Any")) formed.insert(subject);
  }
  const ServiceIdentity identity = {.name = "{name}", .id = "{id}"};
  for (const auto& [verb, word] :
       {std::pair{DiscoveryVerb::kPing, "PING"}, std::pair{DiscoveryVerb::kInfo, "INFO"},
        std::pair{DiscoveryVerb::kStats, "STATS"}}) {
    for (const std::string& subject : DiscoverySubjects(verb, identity)) {
      formed.insert(absl::StrReplaceAll(subject, {{word, "{PING,INFO,STATS}"}}));
    }
  }
  EXPECT_EQ(DocumentedSubjects(), formed);
}

TEST_F(ProtocolDocTest, WhatIsSubscribedToIsDocumented) {
  const std::set<std::string> documented = DocumentedSubjects();
  for (const auto& [name, pattern] : Grammar(kDefaultSubjectPrefix)) {
    bool covers_one = false;
    for (const std::string& subject : documented) covers_one |= IsOfForm(pattern, subject);
    EXPECT_TRUE(covers_one) << pattern;
  }
}

TEST_F(ProtocolDocTest, ExamplesAreOfTheGrammar) {
  std::set<std::string> verbs;
  for (const auto& row : TableUnder(document_, "### API")) verbs.insert(CodeIn(row[0])[0]);
  size_t examples = 0;
  for (const char* file : {"README.md", "docs/protocol.md", "docs/architecture.md"}) {
    for (const std::string& subject :
         AllMatches(ReadSource(file), R"((varpulis\.cluster\.[A-Za-z0-9_.*-]*[A-Za-z0-9_*-]))")) {
      ++examples;
      bool known = false;
      for (const auto& [name, form] : Grammar()) known |= IsOfForm(subject, form);
      EXPECT_TRUE(known) << file << ": " << subject;
      const std::string api = "varpulis.cluster.api.";
      if (absl::StartsWith(subject, api)) {
        EXPECT_THAT(verbs, Contains(subject.substr(api.size()))) << file;
      }
    }
  }
  EXPECT_GE(examples, 5u);
}

TEST_F(ProtocolDocTest, MessagesExist) {
  const auto* const pool = varpulis::v1::Heartbeat::descriptor()->file()->pool();
  const auto check = [&](const std::string& cell) {
    for (const std::string& name : CodeIn(cell)) {
      EXPECT_NE(pool->FindMessageTypeByName("varpulis.v1." + name), nullptr) << name;
    }
  };
  for (const auto& row : TableUnder(document_, "## Subjects")) check(row[4]);
  for (const auto& row : TableUnder(document_, "### Commands")) check(row[1]);
  for (const auto& row : TableUnder(document_, "### API")) check(row[1]);
}

TEST_F(ProtocolDocTest, NamesTheRootAndTheBucket) {
  EXPECT_THAT(document_, HasSubstr(absl::StrCat("`", kDefaultSubjectPrefix, "`")));
  EXPECT_THAT(document_, HasSubstr(absl::StrCat("`$KV.", Subjects().StateBucket(), ".>`")));
  EXPECT_THAT(document_, HasSubstr(absl::StrCat("`", kExternal, "`")));
}

}  // namespace
}  // namespace varpulis::transport
