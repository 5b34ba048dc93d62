#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/check.h"
#include "engine/lang/diagnostics.h"
#include "engine/pipeline.h"

namespace varpulis::engine {

// "E050@2:9" for each message, but those with the code `without`.
inline std::vector<std::string> CodesOf(std::string_view source, std::string_view without = "") {
  std::vector<std::string> codes;
  for (const Diagnostic& diagnostic : Pipeline::Check(source).diagnostics) {
    if (diagnostic.code == without) continue;
    codes.push_back(diagnostic.code + "@" + std::to_string(diagnostic.line) + ":" +
                    std::to_string(diagnostic.column));
  }
  return codes;
}

// All of them as a person sees them.
inline std::string Formatted(std::string_view source) {
  std::string text;
  for (const Diagnostic& diagnostic : Pipeline::Check(source).diagnostics) {
    text += FormatDiagnostic(diagnostic, source, "");
  }
  return text;
}

}  // namespace varpulis::engine
