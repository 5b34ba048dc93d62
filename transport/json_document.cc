#include "transport/json_document.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/charconv.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"

#include "base/status_macros.h"
#include "transport/error_reply.h"
#include "transport/utf8.h"

namespace varpulis::transport {
namespace {

// Numbers come as text, because RapidJSON 1.1 misreads some just beyond 64 bits: it makes 0 of
// 184467440737095516155 (a significand of 2^64 - 1 is rounded up).
constexpr unsigned kParseFlags = rapidjson::kParseIterativeFlag |
                                 rapidjson::kParseNumbersAsStringsFlag |
                                 rapidjson::kParseValidateEncodingFlag;
constexpr size_t kMaxKeyInMessage = 64;
constexpr rapidjson::SizeType kFewKeys = 8;

// RapidJSON validates the bytes of a string but lets the escape of a lone low surrogate through.
bool HasSurrogate(absl::string_view text) {
  for (size_t at = text.find('\xed'); at != absl::string_view::npos;
       at = text.find('\xed', at + 1)) {
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0xa0) return true;
  }
  return false;
}

// Hands everything on to the document, and stops at the depth limit and at text that is none.
class CheckingHandler {
 public:
  CheckingHandler(rapidjson::Document& document, int max_depth)
      : document_(document), max_depth_(max_depth) {}

  bool too_deep() const { return depth_ > max_depth_; }
  bool bad_text() const { return bad_text_; }
  bool too_big() const { return too_big_; }

  bool Null() { return document_.Null(); }
  bool Bool(bool value) { return document_.Bool(value); }
  // Never called, see kParseFlags; the reader wants to see them.
  bool Int(int number) { return document_.Int(number); }
  bool Uint(unsigned number) { return document_.Uint(number); }
  bool Int64(int64_t number) { return document_.Int64(number); }
  bool Uint64(uint64_t number) { return document_.Uint64(number); }
  bool Double(double number) { return document_.Double(number); }
  // An integer that 64 bits hold stays one; everything else is the nearest double.
  bool RawNumber(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    const absl::string_view digits(text, length);
    if (digits.find_first_of(".eE") == absl::string_view::npos) {
      int64_t integer = 0;
      if (absl::SimpleAtoi(digits, &integer)) return document_.Int64(integer);
      uint64_t natural = 0;
      if (absl::SimpleAtoi(digits, &natural)) return document_.Uint64(natural);
    }
    double real = 0;
    const auto read = absl::from_chars(digits.data(), digits.data() + digits.size(), real);
    too_big_ = read.ec == std::errc::result_out_of_range && std::abs(real) > 1;
    return !too_big_ && document_.Double(real);
  }
  bool String(const char* text, rapidjson::SizeType length, bool copy) {
    return Check(text, length) && document_.String(text, length, copy);
  }
  bool Key(const char* text, rapidjson::SizeType length, bool copy) {
    return Check(text, length) && document_.Key(text, length, copy);
  }
  bool StartObject() { return ++depth_ <= max_depth_ && document_.StartObject(); }
  bool StartArray() { return ++depth_ <= max_depth_ && document_.StartArray(); }
  bool EndObject(rapidjson::SizeType count) {
    --depth_;
    return document_.EndObject(count);
  }
  bool EndArray(rapidjson::SizeType count) {
    --depth_;
    return document_.EndArray(count);
  }

 private:
  bool Check(const char* text, rapidjson::SizeType length) {
    bad_text_ = HasSurrogate(absl::string_view(text, length));
    return !bad_text_;
  }

  rapidjson::Document& document_;
  const int max_depth_;
  int depth_ = 0;
  bool bad_text_ = false;
  bool too_big_ = false;
};

absl::Status SyntaxError(absl::string_view text, size_t offset, absl::string_view reason) {
  const absl::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 = 0: the first line
  const size_t column = before.size() - line_start + 1;
  varpulis::v1::ErrorReply with_details;
  varpulis::v1::ErrorDetail* detail = with_details.add_details();
  detail->set_path(absl::StrCat("line ", line));
  detail->set_message(std::string(reason));
  detail->set_line(static_cast<uint32_t>(line));
  detail->set_column(static_cast<uint32_t>(column));
  return MakeError("invalid_request",
                   absl::StrCat("invalid JSON at line ", line, ", column ", column, ": ", reason),
                   with_details);
}

absl::string_view KindOf(const rapidjson::Value& value) {
  switch (value.GetType()) {
    case rapidjson::kNullType:
      return "null";
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      return "a boolean";
    case rapidjson::kObjectType:
      return "an object";
    case rapidjson::kArrayType:
      return "an array";
    case rapidjson::kStringType:
      return "a string";
    case rapidjson::kNumberType:
      return "a number";
  }
  return "something else";
}

}  // namespace

absl::Status ParseJson(absl::string_view text, int max_depth, rapidjson::Document* document) {
  rapidjson::Reader reader;
  rapidjson::MemoryStream stream(text.data(), text.size());
  CheckingHandler handler(*document, max_depth);
  const auto generate = [&](rapidjson::Document&) {
    // A NUL byte ends the document for RapidJSON, so what follows it would go unseen.
    return !reader.Parse<kParseFlags>(stream, handler).IsError() && stream.Tell() == text.size();
  };
  document->Populate(generate);
  if (handler.too_deep()) {
    return SyntaxError(text, reader.GetErrorOffset(),
                       absl::StrCat("nested deeper than ", max_depth, " levels"));
  }
  if (handler.bad_text()) {
    return SyntaxError(text, reader.GetErrorOffset(), "a string with half a surrogate pair");
  }
  if (handler.too_big()) {
    return SyntaxError(text, reader.GetErrorOffset(), "a number too big for a double");
  }
  if (reader.HasParseError()) {
    return SyntaxError(text, reader.GetErrorOffset(),
                       rapidjson::GetParseError_En(reader.GetParseErrorCode()));
  }
  if (stream.Tell() != text.size()) return SyntaxError(text, stream.Tell(), "unexpected NUL byte");
  return absl::OkStatus();
}

std::string JsonPath::ToString() const {
  if (parent_ == nullptr) return "";
  std::string path = parent_->ToString();
  if (key_.data() == nullptr) return absl::StrCat(path, "[", index_, "]");
  const std::string key = key_.empty() ? "\"\"" : OneLine(key_, kMaxKeyInMessage);
  return absl::StrCat(path, path.empty() ? "" : ".", key);
}

absl::Status JsonError(const JsonPath& path, absl::string_view reason) {
  const std::string where = path.ToString();
  varpulis::v1::ErrorReply with_details;
  varpulis::v1::ErrorDetail* detail = with_details.add_details();
  detail->set_path(where);
  detail->set_message(std::string(reason));
  return MakeError("invalid_request", absl::StrCat(where, where.empty() ? "" : ": ", reason),
                   with_details);
}

absl::Status JsonTypeError(const JsonPath& path, absl::string_view what,
                           const rapidjson::Value& got) {
  return JsonError(path, absl::StrCat("expected ", what, ", got ", KindOf(got)));
}

absl::Status CheckKeysDiffer(const rapidjson::Value& object, const JsonPath& path) {
  const auto twice = [&path](absl::string_view key) {
    return JsonError(JsonPath(&path, key), "the key appears twice");
  };
  if (object.MemberCount() <= kFewKeys) {
    for (auto a = object.MemberBegin(); a != object.MemberEnd(); ++a) {
      for (auto b = object.MemberBegin(); b != a; ++b) {
        if (JsonText(a->name) == JsonText(b->name)) return twice(JsonText(a->name));
      }
    }
    return absl::OkStatus();
  }
  absl::flat_hash_set<absl::string_view> seen;
  seen.reserve(object.MemberCount());
  for (auto it = object.MemberBegin(); it != object.MemberEnd(); ++it) {
    if (!seen.insert(JsonText(it->name)).second) return twice(JsonText(it->name));
  }
  return absl::OkStatus();
}

absl::Status CheckKeysDifferBelow(const rapidjson::Value& value, const JsonPath& path) {
  if (value.IsArray()) {
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      RETURN_IF_ERROR(CheckKeysDifferBelow(value[i], JsonPath(&path, i)));
    }
  } else if (value.IsObject()) {
    RETURN_IF_ERROR(CheckKeysDiffer(value, path));
    for (auto it = value.MemberBegin(); it != value.MemberEnd(); ++it) {
      RETURN_IF_ERROR(CheckKeysDifferBelow(it->value, JsonPath(&path, JsonText(it->name))));
    }
  }
  return absl::OkStatus();
}

}  // namespace varpulis::transport
