#pragma once

#include <cstdint>
#include <string>

#include "test/fuzz/reference/generator.h"

namespace varpulis::reference {

struct Tally {
  int64_t compared = 0;
  int64_t with_value = 0;   // results that are not ⊥
  int64_t unspecified = 0;  // left out, because vpl.md leaves them open
};

// Random expressions, compiled and evaluated, over random events. The first difference as text for
// people, or an empty string.
std::string CompareExpressions(Choices& choices, int expressions, int events, Tally* tally);

// The same for random functions, which also change a variable of the program.
std::string CompareFunctions(Choices& choices, int functions, int events, Tally* tally);

}  // namespace varpulis::reference
