#pragma once

#include <string>
#include <vector>

namespace varpulis::faults {

// A group under test: numbered events `Raw {n}` go in at `entries`, and what comes out of `exit`
// depends on every event before.
struct GroupUnderTest {
  std::string specification;         // JSON of POST /pipeline-groups
  std::vector<std::string> entries;  // pipelines; each gets every event
  std::string exit;                  // pipeline
  std::string exit_source;           // its program
  bool meets = false;  // streams meet at the exit, so the order of its input is the broker's
};

// `shape`: "pair" (sum -> last), "chain" (ten pipelines in a row) or "join" (two into one). Empty
// entries: there is no such shape.
GroupUnderTest MakeGroup(const std::string& shape, const std::string& delivery);

}  // namespace varpulis::faults
