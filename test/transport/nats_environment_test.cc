#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/nats_connection.h"
#include "transport/nats_nkey.h"
#include "transport/nats_status.h"

namespace varpulis::transport {
namespace {

using ::testing::ElementsAre;

class NatsEnvironmentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "nats-context-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ + "/nats/context");
    setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"NATS_URL", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_CONTEXT",
                             "NATS_CREDS", "XDG_CONFIG_HOME"}) {
      unsetenv(name);
    }
    std::filesystem::remove_all(folder_);
  }
  void WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/nats/" + name) << text;
  }

  std::string folder_;
};

TEST_F(NatsEnvironmentTest, NothingGivenLeavesTheDefaults) {
  const auto options = WithEnvironment({}, false);
  ASSERT_TRUE(options.ok());
  EXPECT_THAT(options->urls, ElementsAre("nats://127.0.0.1:4222"));
}

TEST_F(NatsEnvironmentTest, OptionsWinThenVariablesThenTheContext) {
  WriteFile("context.txt", "prod\n");
  WriteFile("context/prod.json",
            R"({"url":"nats://ctx:1","user":"cu","password":"cp","ca":"/ctx/ca","description":3})");
  auto options = WithEnvironment({}, false);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->urls, ElementsAre("nats://ctx:1"));
  EXPECT_EQ(options->user, "cu");
  EXPECT_EQ(options->tls_ca_file, "/ctx/ca");

  setenv("NATS_URL", "nats://a:1, nats://b:2", 1);
  setenv("NATS_TOKEN", "t", 1);
  options = WithEnvironment({}, false);
  ASSERT_TRUE(options.ok());
  EXPECT_THAT(options->urls, ElementsAre("nats://a:1", "nats://b:2"));
  EXPECT_EQ(options->token, "t");
  EXPECT_EQ(options->user, "");  // no mixture of two identities

  NatsOptions given;
  given.urls = {"nats://flag:1"};
  given.user = "flag";
  options = WithEnvironment(given, true);
  ASSERT_TRUE(options.ok());
  EXPECT_THAT(options->urls, ElementsAre("nats://flag:1"));
  EXPECT_EQ(options->token, "");
}

TEST_F(NatsEnvironmentTest, ANamedContextMustBeReadable) {
  setenv("NATS_CONTEXT", "missing", 1);
  EXPECT_EQ(WithEnvironment({}, false).status().code(), absl::StatusCode::kNotFound);
  WriteFile("context/missing.json", "[");
  EXPECT_EQ(WithEnvironment({}, false).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(NatsStatusTest, CredentialsAreStrippedFromUrls) {
  EXPECT_EQ(WithoutCredentials("nats://u:p@h:1"), "nats://h:1");
  EXPECT_EQ(WithoutCredentials("nats://u:p@q@h:1"), "nats://h:1");
  EXPECT_EQ(WithoutCredentials("token@h:1"), "h:1");
  EXPECT_EQ(WithoutCredentials("nats://h:1"), "nats://h:1");
}

TEST(NatsNkeyTest, FindsThePublicKeyOfASeed) {
  // The pair of nats-io/nats.docs' nkey example.
  const auto key = PublicKeyOfSeed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(*key, "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
  EXPECT_FALSE(PublicKeyOfSeed("SU").ok());
}

}  // namespace
}  // namespace varpulis::transport
