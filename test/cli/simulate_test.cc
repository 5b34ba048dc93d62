// The real `varpulis simulate`.

#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace varpulis::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Ran {
  int code = -1;
  std::string out, err;
};

class SimulateTest : public testing::Test {
 protected:
  SimulateTest() : dir_(absl::StrCat(testing::TempDir(), "/simulate_", getpid())) {
    EXPECT_EQ(std::system(("mkdir -p " + dir_).c_str()), 0);
  }
  ~SimulateTest() override { EXPECT_EQ(std::system(("rm -rf " + dir_).c_str()), 0); }

  std::string Write(const char* name, const std::string& text) const {
    const std::string path = absl::StrCat(dir_, "/", name);
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string ReadAll(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  std::string Command(const std::string& options) const {
    return absl::StrCat("exec ", VARPULIS_BINARY, " simulate --program ", dir_, "/p.vpl ", options,
                        " >", dir_, "/out 2>", dir_, "/err");
  }
  Ran Run(const std::string& options) const {
    const int status = std::system(Command(options).c_str());
    return {WEXITSTATUS(status), ReadAll(dir_ + "/out"), ReadAll(dir_ + "/err")};
  }
  std::string Events() const { return absl::StrCat("--events ", dir_, "/e.evt"); }

  // One worker and several say the same; `spread` tells whether several worked.
  void ExpectSame(const std::string& program, const std::string& events, bool spread = true) {
    Write("p.vpl", program);
    Write("e.evt", events);
    const Ran one = Run(Events() + " --immediate");
    EXPECT_EQ(one.code, 0) << one.err;
    EXPECT_NE(one.out, "") << program;
    for (const char* workers : {"2", "3", "7"}) {
      for (const char* preload : {"", " --preload"}) {
        const Ran many = Run(absl::StrCat(Events(), " --immediate --workers ", workers, preload));
        EXPECT_EQ(many.code, 0) << many.err;
        EXPECT_TRUE(one.out == many.out) << workers << preload << "\n" << program << many.err;
        EXPECT_EQ(many.err.find("one worker") == std::string::npos, spread) << many.err;
      }
    }
  }

  // Events of two types with keys of every sort, times now and then going back by a little.
  static std::string ManyEvents(int count, int step_ms = 10) {
    static constexpr const char* kKeys[] = {
        "1", "1.0", "\"1\"", "2", "null", "\"null\"", "\"default\"", "true", "\"x y\"", "[1, 2]"};
    std::string text;
    uint32_t state = 1;
    for (int i = 0; i < count; ++i) {
      state = state * 1664525 + 1013904223;
      const uint32_t random = state >> 8;
      const int at = i * step_ms - static_cast<int>(random % 5);
      absl::StrAppend(&text, "@", at < 0 ? 0 : at, "ms ", random % 3 == 0 ? "B" : "A", " { ");
      if (random % 11 != 0) absl::StrAppend(&text, "k: ", kKeys[random % 10], ", ");
      absl::StrAppend(&text, "v: ", random % 100, ", s: \"t", random % 7, "\" }\n");
      if (random % 50 == 0) absl::StrAppend(&text, "# nothing\nOther { v: 1 }\n");
    }
    return text;
  }

  const std::string dir_;
};

TEST_F(SimulateTest, WorkersChangeNothing) {
  const std::string events = ManyEvents(20'000);
  ExpectSame("stream S = A.where(v > 50).emit(k: k, v: v)\nstream T = S.emit(w: v + 1)", events);
  ExpectSame(
      "stream S = A.partition_by(k).window(5).aggregate(n: sum(v), l: last(s))"
      ".emit(k: k, p: _partition, n: n, l: l)\n"
      "stream T = S.partition_by(k).window(2, sliding: 1).aggregate(m: avg(n))"
      ".emit(k: k, m: m)\n"
      "stream U = B.partition_by(k).window(3s).order_by(v desc).emit(v: v, s: s)",
      events);
  ExpectSame(
      "stream J = join(A, B).on(A.k == B.k).window(2s).emit(k: A.k, a: A.v, b: B.v)\n"
      "stream M = merge(A, B).partition_by(k).window(3s, sliding: 1s)"
      ".aggregate(n: count(), s: sum(v)).emit(k: _partition, n: n, s: s)",
      events);
}

TEST_F(SimulateTest, SessionsCloseInOrder) {
  ExpectSame(
      "stream S = A.partition_by(k).window(session: 300ms).aggregate(n: count())"
      ".emit(k: k, n: n)\n"
      "stream T = B.partition_by(k).window(session: 1m).aggregate(n: count(), s: sum(v))"
      ".emit(k: _partition, n: n, s: s)\n"
      "stream U = S.partition_by(k).window(2).aggregate(n: sum(n)).emit(n: n)",
      ManyEvents(5'000));
}

TEST_F(SimulateTest, TextsKeepTheirOrder) {
  Write("p.vpl", "stream S = A.where(v > 90).print(k, v).emit(v: v)");
  Write("e.evt", ManyEvents(3'000));
  const Ran one = Run(Events() + " --immediate"), two = Run(Events() + " --immediate --workers 2");
  EXPECT_EQ(one.err.substr(0, one.err.find("events:")), two.err.substr(0, two.err.find("events:")));
  EXPECT_THAT(one.err, HasSubstr("[PRINT]"));
}

TEST_F(SimulateTest, OneWorkerWhereOrderMatters) {
  ExpectSame("stream S = A.limit(30).emit(k: k)", ManyEvents(200), /*spread=*/false);
  ExpectSame("stream S = A.window(3).aggregate(n: sum(v)).emit(n: n)", ManyEvents(200),
             /*spread=*/false);
}

// The second part of the file is older than a join looks back: what was said stays, and the rest
// is what one worker says.
TEST_F(SimulateTest, LateEventsOfAJoin) {
  ExpectSame("stream J = join(A, B).on(A.k == B.k).window(1s).emit(k: A.k, a: A.v, b: B.v)",
             ManyEvents(9'000) + ManyEvents(2'000), /*spread=*/false);
}

TEST_F(SimulateTest, ErrorsStandWhereTheyAre) {
  Write("p.vpl", "stream S = A.emit(v: v)");
  Write("e.evt", ManyEvents(1'000) + "what is this\n" + ManyEvents(10));
  for (const char* mode : {"", " --preload", " --workers 2", " --workers 2 --preload"}) {
    const Ran run = Run(Events() + " --immediate" + mode);
    EXPECT_EQ(run.code, 1);
    EXPECT_THAT(run.err, HasSubstr("not an event"));
    EXPECT_EQ(run.out, Run(Events() + " --immediate").out);
    EXPECT_EQ(run.err.substr(run.err.find("e.evt:"), 10),
              Run(Events() + " --immediate")
                  .err.substr(Run(Events() + " --immediate").err.find("e.evt:"), 10));
  }
}

TEST_F(SimulateTest, TheBaseIsTheTimeOfOffsetZero) {
  Write("p.vpl", "stream S = A.emit(v: v)");
  Write("e.evt",
        "A { v: 1 }\nBATCH 1500\nA { v: 2 }\n@2s A { v: 3 }\n"
        "{\"event_type\": \"A\", \"data\": {\"v\": 4}, \"timestamp\": 1000}\n"
        "{\"event_type\": \"A\", \"data\": {\"v\": 5}}\n");
  const Ran run = Run(Events() + " --immediate --base 2026-01-01T00:00:00Z");
  EXPECT_THAT(run.out, HasSubstr("2026-01-01T00:00:00Z"));
  EXPECT_THAT(run.out, HasSubstr("2026-01-01T00:00:02Z"));
  EXPECT_THAT(run.out, HasSubstr("1970-01-01T00:00:01Z"));
  EXPECT_EQ(run.out, Run(Events() + " --immediate --base 1767225600000").out);
  EXPECT_EQ(Run(Events() + " --base yesterday").code, 2);
  EXPECT_EQ(Run(Events() + " --workers 0").code, 2);
}

TEST_F(SimulateTest, TimedSortsByOffset) {
  Write("p.vpl", "stream S = A.emit(v: v)");
  Write("e.evt", "@2ms A { v: 3 }\n@0 A { v: 1 }\n@2ms A { v: 4 }\n@0 A { v: 2 }\n");
  const Ran run = Run(Events() + " --preload");
  for (const char c : std::string("1234"))
    EXPECT_THAT(run.out, HasSubstr(std::string("\"v\":") + c));
  EXPECT_LT(run.out.find("\"v\":1"), run.out.find("\"v\":2"));
  EXPECT_LT(run.out.find("\"v\":2"), run.out.find("\"v\":3"));
  EXPECT_LT(run.out.find("\"v\":3"), run.out.find("\"v\":4"));
  EXPECT_THAT(run.err, HasSubstr("read: 60 bytes"));
  EXPECT_EQ(Run("--events - <" + dir_ + "/e.evt").out, run.out);
}

TEST_F(SimulateTest, VerboseSaysWhatIsLoaded) {
  Write("p.vpl", "stream S = A.partition_by(k).window(2).emit(v: v)");
  Write("e.evt", ManyEvents(10));
  const Ran run = Run(Events() + " --immediate --verbose --workers 2");
  EXPECT_THAT(run.err, HasSubstr("streams: 1, reads: A"));
  EXPECT_THAT(run.err, HasSubstr("window count 2"));
  EXPECT_THAT(run.err, HasSubstr("workers: 2, by: k"));
  EXPECT_THAT(Run(Events() + " --immediate").err, Not(HasSubstr("\r")));
}

// A signal ends the wait for input or for the time of an event, with the summary.
TEST_F(SimulateTest, SignalsEndWithTheSummary) {
  Write("p.vpl", "stream S = A.print(v).emit(v: v)");
  const std::string late = Write("e.evt", "@0 A { v: 1 }\n@1000s A { v: 2 }\n");
  for (const bool timed : {false, true}) {
    int input[2], error[2];
    ASSERT_EQ(pipe(input), 0);
    ASSERT_EQ(pipe(error), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(input[0], STDIN_FILENO);
      dup2(error[1], STDERR_FILENO);
      close(input[1]);
      close(error[0]);
      const std::string program = dir_ + "/p.vpl";
      execl(VARPULIS_BINARY, "varpulis", "simulate", "--quiet", "--program", program.c_str(),
            "--events", timed ? late.c_str() : "-", timed ? "--quiet" : "--immediate", nullptr);
      _exit(127);
    }
    close(input[0]);
    close(error[1]);
    ASSERT_EQ(write(input[1], "A { v: 1 }\n", 11), 11);
    std::string said;
    char text[256];
    bool sent = false;
    for (ssize_t got = 0; (got = read(error[0], text, sizeof(text))) > 0;) {
      said.append(text, static_cast<size_t>(got));
      if (!sent && said.find("[PRINT]") != std::string::npos) {
        kill(child, SIGINT);
        sent = true;
      }
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(sent);
    EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
    EXPECT_THAT(said, HasSubstr("interrupted, events: 1, outputs: 1"));
    close(input[1]);
    close(error[0]);
  }
}

}  // namespace
}  // namespace varpulis::cli
