#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/runtime/event.h"

namespace varpulis::engine {

// A name and the punctuation behind it, as words that are compared at once.
class ExpectedText {
 public:
  static constexpr size_t kReadable = 16;  // bytes that `StandsAt` may read

  void Set(std::string_view name, std::string_view punctuation);
  const std::string& name() const { return name_; }
  size_t size() const { return size_; }  // of the name and the punctuation

  // REQUIRES: kReadable readable bytes at `at`; a name longer than those must end before a newline.
  bool StandsAt(const char* at) const {
    uint64_t here[2];
    std::memcpy(here, at, sizeof(here));
    return (((here[0] & masks_[0]) ^ words_[0]) | ((here[1] & masks_[1]) ^ words_[1])) == 0 &&
           (rest_.empty() || RestStandsAt(at + kReadable));
  }

 private:
  bool RestStandsAt(const char* at) const;

  std::string name_;
  std::string rest_;  // what does not fit into the words
  size_t size_ = 0;
  uint64_t words_[2] = {0, 0};
  uint64_t masks_[2] = {0, 0};
};

// What a reader of the .evt form remembers of an event type: how the last event of it was written.
// Most events look like the one before, and reading one that does is a walk along the expectation.
class KnownType {
 public:
  static constexpr size_t kMaxExpected = 64;       // fields that are remembered
  static constexpr size_t kMaxExpectedName = 256;  // longer names are not

  struct Field {
    ExpectedText text;  // `name:`
    int slot = -1;
  };

  // `Name {`, and the type it stands for; null for a type nobody reads.
  void Start(std::string_view name, const InputType* type);
  void Learn(size_t position, std::string_view field, int slot);

  const InputType* type() const { return type_; }
  const std::string& name() const { return opening_.name(); }
  const Field* field(size_t position) const {
    return position < fields_.size() ? &fields_[position] : nullptr;
  }

  // Whether this type's `Name {` stands at `at`. Never for a type that wants all fields.
  bool OpensAt(const char* at) const { return quick_ && opening_.StandsAt(at); }
  // Reads the event that opens at `at`, with the expected fields in the expected order and nothing
  // but plain numbers and strings, up to its newline. `slots` has room for the type's. Returns the
  // place behind the newline, or null, with `slots` undefined, for everything else.
  //
  // REQUIRES: a newline at or behind `at`, and ExpectedText::kReadable readable bytes behind that.
  const char* ReadEvent(const char* at, Value* slots) const;

  // The type whose event came behind one of this type last time.
  KnownType* successor = nullptr;

 private:
  ExpectedText opening_;
  const InputType* type_ = nullptr;
  bool quick_ = false;
  std::vector<Field> fields_;
};

}  // namespace varpulis::engine
