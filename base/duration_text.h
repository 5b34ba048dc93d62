#pragma once

#include <cstdint>
#include <string>

namespace varpulis {

// A duration as JSON has it everywhere: "90s", "1.5s", "-0.000000001s".
std::string FormatDuration(int64_t ns);

}  // namespace varpulis
