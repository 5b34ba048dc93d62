#include "engine/lang/import.h"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/lang/check.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Files = std::map<std::string, std::string>;

LoadedSource Load(const Files& files, const std::string& path = "dir/main.vpl") {
  absl::StatusOr<LoadedSource> loaded =
      LoadSource(path, [&](const std::string& file) -> absl::StatusOr<std::string> {
        auto found = files.find(file);
        if (found == files.end()) return absl::NotFoundError(file + ": no such file");
        return found->second;
      });
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *std::move(loaded) : LoadedSource();
}

// "file:line:column code" for each.
std::vector<std::string> Problems(const LoadedSource& loaded) {
  std::vector<Diagnostic> all = CheckSource(loaded.text).diagnostics;
  loaded.Locate(all);
  all.insert(all.begin(), loaded.diagnostics.begin(), loaded.diagnostics.end());
  std::vector<std::string> problems;
  for (const Diagnostic& found : all) {
    problems.push_back(found.file + ":" + std::to_string(found.line) + ":" +
                       std::to_string(found.column) + " " + found.code);
  }
  return problems;
}

TEST(ImportTest, PutsImportsFirstAndEachFileOnce) {
  const LoadedSource loaded =
      Load({{"dir/main.vpl", "import \"lib/a.vpl\" as a import \"lib/../lib/b.vpl\"\nstream M = A"},
            {"dir/lib/a.vpl", "import \"b.vpl\"\nevent A: x: int\n"},
            {"dir/lib/b.vpl", "event B: x: int"}});
  std::vector<std::string> files;
  for (const LoadedSource::Part& part : loaded.parts) files.push_back(part.file);
  EXPECT_THAT(files, ElementsAre("dir/lib/b.vpl", "dir/lib/a.vpl", "dir/main.vpl"));
  EXPECT_THAT(Problems(loaded), IsEmpty());
}

TEST(ImportTest, CyclesAreFine) {
  EXPECT_THAT(Problems(Load({{"dir/main.vpl", "import \"a.vpl\"\nstream M = A"},
                             {"dir/a.vpl", "import \"main.vpl\"\nevent A: x: int\n"}})),
              IsEmpty());
}

TEST(ImportTest, DiagnosticsNameTheFile) {
  const LoadedSource loaded = Load({{"dir/main.vpl", "import \"a.vpl\"\nevent A: y: int\n"},
                                    {"dir/a.vpl", "\nevent A: x: int\nstream S = A .where(5)\n"}});
  EXPECT_THAT(Problems(loaded), ElementsAre("dir/a.vpl:3:21 E060", "dir/main.vpl:2:7 E001"));
  std::vector<Diagnostic> all = CheckSource(loaded.text).diagnostics;
  loaded.Locate(all);
  EXPECT_EQ(FormatDiagnostic(all[1], loaded.TextOf(all[1].file), all[1].file),
            "dir/main.vpl:2:7: error: [E001] event `A` is declared twice\n"
            "  event A: y: int\n"
            "        ^\n"
            "  hint: declared at dir/a.vpl:2\n");
}

TEST(ImportTest, ReportsWhatCannotBeImported) {
  EXPECT_THAT(Problems(Load({{"dir/main.vpl", "stream M = A\nimport \"gone.vpl\"\n"}})),
              ElementsAre("dir/main.vpl:2:8 E114", "dir/main.vpl:1:12 W030"));
  Files chain;
  for (int i = 0; i < 12; ++i) {
    chain["f" + std::to_string(i)] = "import \"f" + std::to_string(i + 1) + "\"\n";
  }
  EXPECT_THAT(Problems(Load(chain, "f0")), ElementsAre("f10:1:8 E114"));
}

TEST(ImportTest, FailsWithoutTheProgramItself) {
  EXPECT_FALSE(LoadSource("x", [](const std::string&) -> absl::StatusOr<std::string> {
                 return absl::NotFoundError("x");
               }).ok());
}

}  // namespace
}  // namespace varpulis::engine
