// The bytes of the input decide on functions and events: the engine against test/fuzz/reference.
#include <cstdint>
#include <string>

#include "test/fuzz/fuzzing_base.h"
#include "test/fuzz/reference/differential.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varpulis;
  reference::Choices choices(data, size);
  reference::Tally tally;
  const std::string difference = reference::CompareFunctions(choices, 2, 3, &tally);
  fuzz::Require(difference.empty(), "the engine and vpl.md differ", difference);
  return 0;
}
