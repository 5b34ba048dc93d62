#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"

namespace varpulis::engine {

// Whether the events of a program can be spread over several pipelines of it, each event to one of
// them by the text of a field, without changing any output. So it is when all state is kept by that
// field: then what an event meets is what other events of the same text left. Value type.
struct Spread {
  struct Key {
    std::string type;
    int slot;  // of the field in rows of the type; -1: they may go to any pipeline
  };

  bool possible = false;
  std::string reason;     // why not
  std::string field;      // empty: the program keeps no state
  std::vector<Key> keys;  // by input of the plan
  // Joins look at how late an event is, seen from all events. Outputs are the same as long as no
  // event is older than the newest before it by more than this.
  int64_t max_late_ns = INT64_MAX;
};

// For `field`; an empty one lets the program choose: the first field that some window or join of it
// is kept by and that will do. Whatever it does not know it takes for impossible. Pure.
Spread FindSpread(const Plan& plan, std::string_view field);
// REQUIRES: Pipeline::Check finds no errors in `source`.
Spread FindSpread(std::string_view source, std::string_view field);

// Texts of keys that must go to one pipeline have one spelling: an absent key, which windows call
// `default`, can become null behind an aggregate.
inline std::string_view SpreadText(std::string_view key_text) {
  return key_text == "null" ? std::string_view("default") : key_text;
}

}  // namespace varpulis::engine
