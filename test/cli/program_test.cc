#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/check.h"
#include "cli/fmt.h"
#include "cli/parse.h"

namespace varpulis::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The commands that read a program, on files of a directory of their own.
class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(directory_ / "lib");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return (directory_ / name).string();
  }
  static std::string Read(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  // What `command` writes to standard output.
  template <typename Command>
  static std::string Output(Command command, int expected) {
    ::testing::internal::CaptureStdout();
    const int exit_code = command();
    EXPECT_EQ(exit_code, expected);
    return ::testing::internal::GetCapturedStdout();
  }

  std::filesystem::path directory_;
};

TEST_F(ProgramTest, ChecksWithImports) {
  Write("lib/types.vpl", "event A: x: int\nevent A: y: int\n");
  const std::string main = Write("main.vpl", "import \"lib/types.vpl\"\nstream S = A\n");
  const std::string text = Output([&] { return RunCheck({.file = main}); }, 1);
  EXPECT_THAT(text, HasSubstr("lib/types.vpl:2:7: error: [E001]"));
  const std::string json = Output([&] { return RunCheck({.file = main, .format = "json"}); }, 1);
  EXPECT_THAT(json, StartsWith("{\"ok\":false,\"diagnostics\":[{\"severity\":\"error\","
                               "\"code\":\"E001\",\"line\":2,\"column\":7,"));
  EXPECT_THAT(json, HasSubstr("\"related_line\":1,"));
  Write("lib/types.vpl", "event A: x: int\n");
  EXPECT_THAT(Output([&] { return RunCheck({.file = main}); }, 0), HasSubstr("ok, 1 streams"));
  EXPECT_EQ(RunCheck({.file = main, .format = "xml"}), 2);
  EXPECT_EQ(RunCheck({.file = main + ".gone"}), 2);
}

TEST_F(ProgramTest, PrintsTheTree) {
  const std::string file = Write("a.vpl", "stream S = A .where(x > 1)\n");
  EXPECT_EQ(Output([&] { return RunParse({.file = file}); }, 0),
            "program\n  stream S\n    source type\n      type A\n    where\n      >\n"
            "        name x\n        literal 1\n");
  EXPECT_THAT(Output([&] { return RunParse({.file = file, .format = "json"}); }, 0),
              StartsWith("{\"kind\":\"program\",\"children\":[{\"kind\":\"stream\","
                         "\"text\":\"S\",\"line\":1,\"column\":1,"));
  EXPECT_THAT(
      Output([&] { return RunParse({.file = Write("b.vpl", "stream S =\nlet x = 1")}); }, 1),
      HasSubstr("let x"));
}

TEST_F(ProgramTest, FormatsInPlace) {
  const std::string file = Write("a.vpl", "stream S=A.where( x>1 )");
  const std::string canonical = "stream S = A .where(x > 1)\n";
  EXPECT_EQ(Output([&] { return RunFmt({.file = file}); }, 0), canonical);
  EXPECT_EQ(RunFmt({.file = file, .check = true}), 1);
  EXPECT_EQ(RunFmt({.file = file, .write = true}), 0);
  EXPECT_EQ(Read(file), canonical);
  EXPECT_EQ(RunFmt({.file = file, .check = true}), 0);
  const std::string broken = Write("b.vpl", "stream S=");
  EXPECT_EQ(RunFmt({.file = broken, .write = true}), 1);
  EXPECT_EQ(Read(broken), "stream S=");
  EXPECT_EQ(RunFmt({.file = "-", .write = true}), 2);
}

}  // namespace
}  // namespace varpulis::cli
