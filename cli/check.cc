#include "cli/check.h"

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "cli/program_file.h"
#include "engine/io/json_writer.h"
#include "engine/pipeline.h"

namespace varpulis::cli {
namespace {

void AppendField(const char* name, const std::string& value, std::string* out) {
  *out += std::string(",\"") + name + "\":";
  engine::AppendJsonString(value, out);
}

// {"ok":…,"diagnostics":[…],"input_event_types":[…]}
std::string ToJson(bool ok, const std::vector<engine::Diagnostic>& diagnostics,
                   const std::vector<std::string>& input_event_types) {
  std::string out = std::string("{\"ok\":") + (ok ? "true" : "false") + ",\"diagnostics\":[";
  for (size_t i = 0; i < diagnostics.size(); ++i) {
    const engine::Diagnostic& diagnostic = diagnostics[i];
    if (i > 0) out += ",";
    out += "{\"severity\":";
    out += diagnostic.severity == engine::Severity::kError ? "\"error\"" : "\"warning\"";
    AppendField("code", diagnostic.code, &out);
    out += ",\"line\":" + std::to_string(diagnostic.line);
    out += ",\"column\":" + std::to_string(diagnostic.column);
    out += ",\"end_column\":" + std::to_string(diagnostic.end_column);
    AppendField("message", diagnostic.message, &out);
    if (!diagnostic.hint.empty()) AppendField("hint", diagnostic.hint, &out);
    AppendField("file", diagnostic.file, &out);
    if (diagnostic.related_line > 0) {
      out += ",\"related_line\":" + std::to_string(diagnostic.related_line);
      AppendField("related_file",
                  diagnostic.related_file.empty() ? diagnostic.file : diagnostic.related_file,
                  &out);
    }
    out += "}";
  }
  out += "],\"input_event_types\":[";
  for (size_t i = 0; i < input_event_types.size(); ++i) {
    if (i > 0) out += ",";
    engine::AppendJsonString(input_event_types[i], &out);
  }
  return out + "]}\n";
}

}  // namespace

int RunCheck(const CheckOptions& options) {
  if (options.format != "human" && options.format != "json") {
    std::cerr << "unknown format `" << options.format << "`: use human or json\n";
    return 2;
  }
  const absl::StatusOr<engine::LoadedSource> loaded = LoadProgram(options.file);
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return 2;
  }
  engine::CheckResult result = engine::Pipeline::Check(loaded->text);
  const bool ok = result.ok() && loaded->diagnostics.empty();
  const std::vector<engine::Diagnostic> located = Located(*loaded, std::move(result.diagnostics));
  if (options.format == "json") {
    std::cout << ToJson(ok, located, result.input_event_types);
  } else {
    std::cout << Formatted(*loaded, located);
    const std::string name = options.file == "-" ? "stdin" : options.file;
    if (ok) std::cout << name << ": ok, " << result.streams.size() << " streams\n";
  }
  std::cout.flush();
  return ok ? 0 : 1;
}

}  // namespace varpulis::cli
