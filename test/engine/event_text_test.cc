#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/evt.h"
#include "engine/io/json_writer.h"
#include "engine/runtime/batch_codec.h"
#include "engine/runtime/text.h"
#include "test/engine/run_program.h"

namespace varpulis::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `T@offset{json fields}` for each event; offset in ns, "-" when absent.
std::vector<std::string> Parsed(std::string_view text) {
  std::vector<std::string> result;
  auto events = ParseEventText(text);
  if (!events.ok()) return {std::string(events.status().message())};
  for (const varpulis::v1::Event& event : *events) {
    std::string out = event.event_type() + "@" +
                      (event.has_timestamp_ns() ? std::to_string(event.timestamp_ns()) : "-") + "{";
    Arena arena;
    for (const varpulis::v1::Field& field : event.fields()) {
      Value value;
      EXPECT_TRUE(ValueFromProto(field.value(), arena, &value).ok());
      if (out.back() != '{') out += ",";
      out += field.name() + ":";
      AppendJson(value, &out);
    }
    result.push_back(out + "}");
  }
  return result;
}

TEST(EventTextTest, SkipsAByteOrderMark) {
  EXPECT_EQ(Parsed("\xEF\xBB\xBFT { a: 1 }\nT { a: 2 }\n"), Parsed("T { a: 1 }\nT { a: 2 }\n"));
  EXPECT_EQ(Parsed("\xEF\xBB\xBF{\"event_type\": \"T\", \"a\": 1}"),
            Parsed("{\"event_type\": \"T\", \"a\": 1}"));
}

TEST(EventTextTest, ReadsEveryForm) {
  EXPECT_THAT(
      Parsed("# comment\n// comment\n\n  \t\nT { a: 1, b: 2.0 };\r\nBATCH\nBATCH 5\nT{}\n"
             "@2s T { a: 'x' }\n@3 T(1, \"p,q\", [2, 3])\nT()\n@1m "
             "{\"event_type\":\"J\",\"data\":{\"x\":1}}\n"
             "{\"event_type\":\"J\",\"fields\":{\"x\":[1,{\"y\":null}]},\"timestamp\":7}\n"
             "{\"event_type\":\"J\",\"x\":1.5,\"timestamp\":\"1970-01-01T00:00:01.5Z\"}"),
      ElementsAre("T@-{a:1,b:2.0}", "T@5000000{}", "T@2000000000{a:\"x\"}",
                  "T@3000000{field_0:1,field_1:\"p,q\",field_2:[2,3]}", "T@5000000{}",
                  "J@60000000000{x:1}", "J@7000000{x:[1,{\"y\":null}]}", "J@1500000000{x:1.5}"));
}

TEST(EventTextTest, ReadsEveryValue) {
  EXPECT_THAT(
      Parsed("T { a: true, b: false, c: null, d: nil, e: -12, f: +7, g: 1e5, h: inf, i: nan, "
             "j: some text, k: \"a\\\"b\\n\\q\", l: 'it, is', m: [1, [\"x\", [] ]], "
             "n: {x: 1, y: {z: w}}, o: 9223372036854775808, p: 0.1, q: -0.5, r: f(1, 2) }"),
      ElementsAre("T@-{a:true,b:false,c:null,d:null,e:-12,f:7,g:1e+05,h:null,i:null,"
                  "j:\"some text\",k:\"a\\\"b\\n\\\\q\",l:\"it, is\",m:[1,[\"x\",[]]],"
                  "n:{\"x\":1,\"y\":{\"z\":\"w\"}},o:9223372036854775808.0,p:0.1,q:-0.5,"
                  "r:\"f(1, 2)\"}"));
}

TEST(EventTextTest, ErrorsNameTheLine) {
  EXPECT_THAT(Parsed("T{}\n\nnonsense"), ElementsAre(HasSubstr("line 3: not an event")));
  EXPECT_THAT(Parsed("T { a: 1"), ElementsAre(HasSubstr("line 1: event without closing `}`")));
  EXPECT_THAT(Parsed("T { a 1 }"), ElementsAre(HasSubstr("without `:`")));
  EXPECT_THAT(Parsed("T { a: \"x }"), ElementsAre(HasSubstr("field `a`: string without")));
  EXPECT_THAT(Parsed("T { a: , b: 1 }"), ElementsAre(HasSubstr("value is missing")));
  EXPECT_THAT(Parsed("T { a: 1 } x"), ElementsAre(HasSubstr("text after the event")));
  EXPECT_THAT(Parsed("{ a: 1 }"), ElementsAre(HasSubstr("line 1: not JSON")));
  EXPECT_THAT(Parsed("{\"data\":{}}"), ElementsAre(HasSubstr("no `event_type`")));
  EXPECT_THAT(Parsed("BATCH x"), ElementsAre(HasSubstr("BATCH")));
  EXPECT_THAT(Parsed("@5x T{}"), ElementsAre(HasSubstr("offset")));
  EXPECT_THAT(Parsed("T { a: \"\xFF\" }"), ElementsAre(HasSubstr("line 1: text is not UTF-8")));
}

TEST(EventTextTest, HoldsTheLimits) {
  const std::string deep = "T { a: " + std::string(33, '[') + std::string(33, ']') + " }";
  EXPECT_THAT(Parsed(deep), ElementsAre(HasSubstr("deeper than 32")));
  EXPECT_EQ(Parsed("T { a: " + std::string(32, '[') + std::string(32, ']') + " }")[0].substr(0, 2),
            "T@");
  std::string fields = "T { ";
  for (int i = 0; i < 1025; ++i) fields += "f" + std::to_string(i) + ": 1, ";
  EXPECT_THAT(Parsed(fields + "}"), ElementsAre(HasSubstr("1024 fields")));
  // All forms have one limit.
  for (const int count : {1024, 1025}) {
    std::string flat = "{\"event_type\":\"T\"";
    for (int i = 0; i < count; ++i) flat += ",\"f" + std::to_string(i) + "\":1";
    EXPECT_EQ(Parsed(flat + "}")[0].substr(0, 2), count == 1024 ? "T@" : "li") << count;
  }
  std::string list = "T { a: [";
  for (int i = 0; i < 10'001; ++i) list += "1,";
  EXPECT_THAT(Parsed(list + "] }"), ElementsAre(HasSubstr("10000 items")));
  EXPECT_THAT(Parsed("T { a: " + std::string(1 << 20, 'x') + " }"),
              ElementsAre(HasSubstr("longer than")));
  auto events = ParseEventText("T { a: \"" + std::string(300'000, 'x') + "\" }");
  ASSERT_TRUE(events.ok());
  EXPECT_EQ((*events)[0].fields(0).value().string_value().size(), kMaxStringBytes);
}

TEST(EventTextTest, UnreadTypesAreCheckedToo) {
  auto pipeline = CompileOrDie("stream S = E .emit(v: v)");
  EventLineReader reader(pipeline->inputs(), nullptr, pipeline->arena());
  LineEvent event;
  EXPECT_FALSE(reader.Read("X { a: [1 }", &event).ok());
  EXPECT_TRUE(reader.Read("X { a: [1], b: {c: \"d\"} }", &event).ok());
  EXPECT_EQ(event.type, nullptr);
}

// The remembered order of fields is a guess; any other order gives the same values.
TEST(EventTextTest, FieldOrderDoesNotMatter) {
  EXPECT_THAT(
      RunShort("stream S = E .emit(a: a, b: b, long_field_name_of_some_length: "
               "long_field_name_of_some_length)",
               "E { a: 1, b: 2, long_field_name_of_some_length: 3 }\n"
               "E { b: 2, a: 1 }\nE{a:1,x:9,b:2}\nF { a: 7 }\nE { a : 1 , b : 2 }\n"
               "E { ab: 1, b: 2 }\nE { a: 1, a: 5 }\n"),
      ElementsAre("S{\"a\":1,\"b\":2,\"long_field_name_of_some_length\":3}", "S{\"a\":1,\"b\":2}",
                  "S{\"a\":1,\"b\":2}", "S{\"a\":1,\"b\":2}", "S{\"b\":2}", "S{\"a\":5}"));
}

// The short way to a double gives what strtod gives.
TEST(EventTextTest, NumbersAreExact) {
  uint64_t state = 7;
  std::string text;
  std::vector<std::string> numbers;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    std::string number = std::to_string(state >> (10 + state % 50));
    number.insert(number.size() - (state >> 20) % number.size(), ".");
    if (number.back() == '.') number += "0";
    if (number[0] == '.') number = "0" + number;
    numbers.push_back(number);
    text += "T { v: " + number + " }\n";
  }
  auto events = ParseEventText(text);
  ASSERT_TRUE(events.ok());
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ((*events)[i].fields(0).value().float_value(),
              std::strtod(numbers[i].c_str(), nullptr))
        << numbers[i];
  }
}

TEST(JsonWriterTest, WritesTextSafely) {
  std::string out;
  AppendJsonString("a\"\\\n\x01\x7F\xC3\xA9\xFF\xED\xA0\x80", &out);
  EXPECT_EQ(out,
            "\"a\\\"\\\\\\n\\u0001\x7F\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(JsonWriterTest, WritesTimestamps) {
  const auto text = [](int64_t ns) {
    std::string out;
    AppendTimestamp(ns, true, &out);
    int64_t back = 0;
    EXPECT_TRUE(ParseTimestamp(out, &back));
    EXPECT_EQ(back, ns);
    return out;
  };
  EXPECT_EQ(text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(text(1), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(text(1'000), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(text(-1'000'000), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(text(951'782'400'000'000'000), "2000-02-29T00:00:00Z");
}

}  // namespace
}  // namespace varpulis::engine
