#include "engine/runtime/enrich.h"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

#include "engine/pipeline.h"
#include "proto/checkpoint.pb.h"
#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Status = LookupResult::Status;

// What a provider was asked, and answers by key text: a name, or how it fails.
struct Book {
  std::map<std::string, std::string> names;
  std::vector<std::string> asked;  // one entry per call
};

class BookProvider final : public LookupProvider {
 public:
  explicit BookProvider(Book* book) : book_(book) {}
  void Lookup(absl::Span<const Value> keys, int64_t timeout_ns,
              absl::Span<LookupResult> results) override {
    std::string asked;
    for (size_t i = 0; i < keys.size(); ++i) {
      std::string key;
      AppendDisplay(keys[i], /*quote=*/false, &key);
      absl::StrAppend(&asked, i > 0 ? " " : "", key);
      const auto found = book_->names.find(key);
      if (found == book_->names.end()) continue;  // an error
      if (found->second == "slow") {
        results[i].status = Status::kTimeout;
        results[i].latency_ms = timeout_ns / 1'000'000;
        continue;
      }
      results[i].status = Status::kOk;
      results[i].latency_ms = 7;
      results[i].fields.emplace_back("name", OwnedValue(Value::String(found->second)));
    }
    book_->asked.push_back(asked);
  }

 private:
  Book* book_;
};

constexpr char kConnector[] = "connector C = http(url: \"http://h/\")\n";

std::vector<std::string> Enriched(const std::string& program, const std::string& events, Book* book,
                                  size_t batch_rows = 1) {
  CollectedLines sink;
  auto pipeline = Pipeline::Compile(
      kConnector + program,
      [book](const PlanConnector& connector) -> absl::StatusOr<std::unique_ptr<LookupProvider>> {
        EXPECT_EQ(connector.type, "http");
        return std::make_unique<BookProvider>(book);
      });
  EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
  if (!pipeline.ok()) return {};
  Feed(**pipeline, events, sink, batch_rows);
  std::vector<std::string> fields;
  for (const std::string& line : sink.lines) {
    fields.push_back(line.substr(line.find("\"fields\":") + 9));
    fields.back().pop_back();
  }
  return fields;
}

const char kEmit[] = ".emit(id: id, name: name, status: enrich_status, ms: enrich_latency_ms)";

TEST(EnrichTest, SetsFieldsAndRemembers) {
  Book book{{{"1", "ann"}, {"2", "bob"}}, {}};
  EXPECT_THAT(Enriched(absl::StrCat("stream S = E .enrich(C, key: id, fields: [name]) ", kEmit),
                       "E{id:1}\nE{id:2}\nE{id:1}\nE{id:\"1\"}\n", &book),
              ElementsAre("{\"id\":1,\"name\":\"ann\",\"status\":\"ok\",\"ms\":7}",
                          "{\"id\":2,\"name\":\"bob\",\"status\":\"ok\",\"ms\":7}",
                          "{\"id\":1,\"name\":\"ann\",\"status\":\"cached\",\"ms\":0}",
                          "{\"id\":\"1\",\"name\":\"ann\",\"status\":\"ok\",\"ms\":7}"));
  EXPECT_THAT(book.asked, ElementsAre("1", "2", "1"));
}

TEST(EnrichTest, ABatchIsAskedAtOnceAndGivesTheSame) {
  const std::string program =
      absl::StrCat("stream S = E as e .enrich(C, key: e.id, fields: [name]) ", kEmit);
  const std::string events =
      "E { id: 1 }\nE { id: 2 }\nE { id: 1 }\nE { id: 3 }\nE { id: 2 }\nE { id: 2 }\n";
  Book single{{{"1", "ann"}, {"2", "bob"}}, {}};
  Book batch = single;
  EXPECT_EQ(Enriched(program, events, &single, 1), Enriched(program, events, &batch, 100));
  EXPECT_THAT(batch.asked, ElementsAre("1", "2 3"));  // the first event of a type comes alone
}

TEST(EnrichTest, FailuresDropOrFallBack) {
  Book book{{{"1", "slow"}}, {}};
  EXPECT_THAT(Enriched(absl::StrCat(
                           "stream S = E .enrich(C, key: id, fields: [name], timeout: 2s) ", kEmit),
                       "E{id:1}\nE{id:2}\n", &book),
              ElementsAre());
  EXPECT_THAT(Enriched(absl::StrCat("stream S = E .enrich(C, key: id, fields: [name], timeout: 2s, "
                                    "fallback: \"?\") ",
                                    kEmit),
                       "E{id:1}\nE{id:2}\nE{}\n", &book),
              ElementsAre("{\"id\":1,\"name\":\"?\",\"status\":\"timeout\",\"ms\":2000}",
                          "{\"id\":2,\"name\":\"?\",\"status\":\"error\",\"ms\":0}",
                          "{\"name\":\"?\",\"status\":\"error\",\"ms\":0}"));
  EXPECT_THAT(book.asked, ElementsAre("1", "2", "1", "2", "null"));
}

TEST(EnrichTest, ForgetsInPipelineTime) {
  Book book{{{"1", "ann"}}, {}};
  Enriched(absl::StrCat("stream S = E .enrich(C, key: id, fields: [name], cache_ttl: 10s) ", kEmit),
           "@0s E{id:1}\n@9s E{id:1}\n@10s E{id:1}\n@15s E{id:1}\n", &book);
  EXPECT_THAT(book.asked, ElementsAre("1", "1"));
}

TEST(EnrichTest, KeepsWhatTheAnswerLacks) {
  Book book{{{"1", "ann"}}, {}};
  EXPECT_THAT(Enriched("stream S = E .enrich(C, key: id, fields: [name, town]) "
                       ".emit(name: name, town: town, id: id)",
                       "E{id:1,name:\"old\",town:\"Rom\"}\n", &book),
              ElementsAre("{\"name\":\"ann\",\"town\":\"Rom\",\"id\":1}"));
}

TEST(EnrichTest, TheCacheIsPartOfTheState) {
  const std::string program =
      absl::StrCat(kConnector, "stream S = E .enrich(C, key: id, fields: [name]) ", kEmit);
  Book book{{{"1", "ann"}}, {}};
  const LookupProviderFactory providers =
      [&book](const PlanConnector&) -> absl::StatusOr<std::unique_ptr<LookupProvider>> {
    return std::make_unique<BookProvider>(&book);
  };
  CollectedLines sink;
  auto first = Pipeline::Compile(program, providers);
  ASSERT_TRUE(first.ok());
  Feed(**first, "E{id:1}\n", sink);
  auto second = Pipeline::Compile(program, providers);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE((*second)->Restore(*(*first)->Save()).ok());
  Feed(**second, "E{id:1}\n", sink);
  EXPECT_THAT(book.asked, ElementsAre("1"));
  EXPECT_THAT(sink.lines.back(), HasSubstr("\"name\":\"ann\",\"status\":\"cached\""));
}

TEST(EnrichTest, NeedsAProvider) {
  const std::string program =
      absl::StrCat(kConnector, "stream S = E .enrich(C, key: id, fields: [name])");
  EXPECT_THAT(std::string(Pipeline::Compile(program).status().message()), HasSubstr("[E110]"));
  const auto refused = [](const PlanConnector&) -> absl::StatusOr<std::unique_ptr<LookupProvider>> {
    return absl::UnavailableError("no route to host");
  };
  EXPECT_THAT(std::string(Pipeline::Compile(program, refused).status().message()),
              HasSubstr("connector `C` cannot be opened: no route to host"));
}

}  // namespace
}  // namespace varpulis::engine
