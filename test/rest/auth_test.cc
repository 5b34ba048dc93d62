#include "rest/auth.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace varpulis::rest {
namespace {

TEST(ApiKeysTest, WithoutKeysEverythingIsOpen) {
  EXPECT_EQ(ApiKeys().Check(std::nullopt, Role::kAdmin), Access::kGranted);
  EXPECT_EQ(ApiKeys("").Check("anything", Role::kAdmin), Access::kGranted);
}

TEST(ApiKeysTest, OneKeyIsAdmin) {
  const ApiKeys keys("admin");
  EXPECT_EQ(keys.Check("admin", Role::kAdmin), Access::kGranted);
  EXPECT_EQ(keys.Check("admi", Role::kViewer), Access::kUnknownKey);
  EXPECT_EQ(keys.Check("admin ", Role::kViewer), Access::kUnknownKey);
  EXPECT_EQ(keys.Check("", Role::kViewer), Access::kUnknownKey);
  EXPECT_EQ(keys.Check(std::nullopt, Role::kViewer), Access::kUnknownKey);
}

TEST(ApiKeysTest, RolesNest) {
  const auto keys = ApiKeys::FromJson(R"({"keys":[
      {"key":"v","role":"readonly","name":"dashboards"},
      {"key":"o","role":"Deploy"},
      {"key":"a","role":"superadmin"}]})");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->Check("v", Role::kViewer), Access::kGranted);
  EXPECT_EQ(keys->Check("v", Role::kOperator), Access::kTooWeak);
  EXPECT_EQ(keys->Check("o", Role::kViewer), Access::kGranted);
  EXPECT_EQ(keys->Check("o", Role::kOperator), Access::kGranted);
  EXPECT_EQ(keys->Check("o", Role::kAdmin), Access::kTooWeak);
  EXPECT_EQ(keys->Check("a", Role::kAdmin), Access::kGranted);
  EXPECT_EQ(keys->Check("x", Role::kViewer), Access::kUnknownKey);
}

TEST(ApiKeysTest, OfTwoEntriesTheStrongerCounts) {
  const auto keys =
      ApiKeys::FromJson(R"({"keys":[{"key":"k","role":"admin"},{"key":"k","role":"viewer"}]})");
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(keys->Check("k", Role::kAdmin), Access::kGranted);
}

TEST(ApiKeysTest, RefusesABadFileWithoutNamingAKey) {
  for (const char* json :
       {"", "[]", "{}", R"({"keys":[]})", R"({"keys":"sesame"})", R"({"keys":["sesame"]})",
        R"({"keys":[{"key":"sesame"}]})", R"({"keys":[{"role":"admin"}]})",
        R"({"keys":[{"key":"","role":"admin"}]})", R"({"keys":[{"key":"sesame","role":"boss"}]})",
        R"({"keys":[{"key":7,"role":"admin"}]})", R"({"keys":[{"sesame":"sesame"}]})",
        R"({"keys":[{"key":"sesame","role":"admin")"}) {
    const auto keys = ApiKeys::FromJson(json);
    EXPECT_EQ(keys.status().code(), absl::StatusCode::kInvalidArgument) << json;
    EXPECT_THAT(std::string(keys.status().message()), testing::Not(testing::HasSubstr("sesame")));
  }
  EXPECT_EQ(ApiKeys::FromFile("/nowhere/keys.json").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace varpulis::rest
