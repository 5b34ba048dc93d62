#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace varpulis::transport {

// Appends compact JSON to a string; commas are put where they belong. The caller keeps the order:
// a key before each value of an object, as many Ends as Begins. Value type.
//
//   JsonWriter json; json.BeginObject(); json.Key("x"); json.Int(1); json.EndObject(); json.Take()
class JsonWriter {
 public:
  void BeginObject() { Open('{'); }
  void EndObject() { Close('}'); }
  void BeginArray() { Open('['); }
  void EndArray() { Close(']'); }
  void Key(absl::string_view key);
  void String(absl::string_view text);  // invalid UTF-8 becomes U+FFFD
  void Int(int64_t number);
  void Uint(uint64_t number);
  void Double(double number);  // shortest, with a point or an exponent; NaN and infinities null
  void Bool(bool value) { Word(value ? "true" : "false"); }
  void Null() { Word("null"); }

  std::string Take() { return std::move(out_); }

 private:
  void Comma() {
    if (needs_comma_) out_.push_back(',');
  }
  void Open(char bracket) {
    Comma();
    out_.push_back(bracket);
    needs_comma_ = false;
  }
  void Close(char bracket) {
    out_.push_back(bracket);
    needs_comma_ = true;
  }
  void Word(absl::string_view word);
  void Quote(absl::string_view text);

  std::string out_;
  bool needs_comma_ = false;
};

}  // namespace varpulis::transport
