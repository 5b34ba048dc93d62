#include "test/faults/groups.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace varpulis::faults {
namespace {

struct Pipeline {
  std::string name, source, takes, from;
};

// Adds up all that it has seen; the sum wraps around, the same way every time. (A variable named as
// the field would be hidden by it.)
std::string Sum(const std::string& output, const std::string& input, const std::string& field) {
  return absl::StrCat("var sum = 0\nfn add(x: int) -> int:\n    sum := sum + x\n    sum\n",
                      "stream ", output, " = ", input, " .emit(n: n, total: add(", field, "))");
}

constexpr char kMeet[] =
    "var seen = 0\nfn count() -> int:\n    seen := seen + 1\n    seen\n"
    "stream Both = join(Left, Right).on(Left.n == Right.n).window(1h)"
    ".emit(n: n, left: Left.total, right: Right.total, seen: count())";

std::string Specification(const std::vector<Pipeline>& pipelines, const std::string& delivery) {
  std::vector<std::string> programs;
  std::vector<std::string> routes;
  for (const Pipeline& pipeline : pipelines) {
    if (!pipeline.source.empty()) {
      programs.push_back(absl::StrCat(R"({"name":")", pipeline.name, R"(","source":")",
                                      absl::StrReplaceAll(pipeline.source, {{"\n", "\\n"}}),
                                      R"("})"));
    }
    routes.push_back(absl::StrCat(R"({"from_pipeline":")", pipeline.from, R"(","to_pipeline":")",
                                  pipeline.name, R"(","event_types":[")", pipeline.takes,
                                  R"("]})"));
  }
  return absl::StrCat(R"({"name":"under-test","delivery":")", delivery, R"(","pipelines":[)",
                      absl::StrJoin(programs, ","), R"(],"routes":[)", absl::StrJoin(routes, ","),
                      "]}");
}

std::vector<Pipeline> Row(int length) {
  std::vector<Pipeline> row = {{"p0", Sum("S0", "Raw", "n"), "Raw", "_external"}};
  for (int i = 1; i < length; ++i) {
    const std::string before = absl::StrCat("S", i - 1);
    row.push_back({absl::StrCat("p", i), Sum(absl::StrCat("S", i), before, "total"), before,
                   absl::StrCat("p", i - 1)});
  }
  return row;
}

}  // namespace

GroupUnderTest MakeGroup(const std::string& shape, const std::string& delivery) {
  GroupUnderTest group;
  std::vector<Pipeline> pipelines;
  if (shape == "pair" || shape == "chain") {
    pipelines = Row(shape == "pair" ? 2 : 10);
    group.entries = {"p0"};
    group.exit = pipelines.back().name;
    group.exit_source = pipelines.back().source;
  } else if (shape == "join") {
    pipelines = {{"left", Sum("Left", "Raw", "n"), "Raw", "_external"},
                 {"right", Sum("Right", "Raw", "n"), "Raw", "_external"},
                 {"meet", kMeet, "Left", "left"},
                 {"meet", "", "Right", "right"}};
    group.entries = {"left", "right"};
    group.exit = "meet";
    group.exit_source = kMeet;
    group.meets = true;
  }
  group.specification = Specification(pipelines, delivery);
  return group;
}

}  // namespace varpulis::faults
