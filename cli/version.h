#pragma once

namespace varpulis::cli {

inline constexpr char kVersion[] = VARPULIS_VERSION;  // from CMake's project()

}  // namespace varpulis::cli
