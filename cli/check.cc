#include "cli/check.h"

#include <iostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "engine/io/event_file.h"
#include "engine/io/json_writer.h"
#include "engine/lang/lexer.h"
#include "engine/pipeline.h"

namespace varpulis::cli {
namespace {

void AppendField(const char* name, const std::string& value, std::string* out) {
  *out += std::string(",\"") + name + "\":";
  engine::AppendJsonString(value, out);
}

// {"ok":…,"diagnostics":[…],"input_event_types":[…]}
std::string ToJson(const engine::CheckResult& result) {
  std::string out =
      std::string("{\"ok\":") + (result.ok() ? "true" : "false") + ",\"diagnostics\":[";
  for (size_t i = 0; i < result.diagnostics.size(); ++i) {
    const engine::Diagnostic& diagnostic = result.diagnostics[i];
    if (i > 0) out += ",";
    out += "{\"severity\":";
    out += diagnostic.severity == engine::Severity::kError ? "\"error\"" : "\"warning\"";
    AppendField("code", diagnostic.code, &out);
    out += ",\"line\":" + std::to_string(diagnostic.line);
    out += ",\"column\":" + std::to_string(diagnostic.column);
    out += ",\"end_column\":" + std::to_string(diagnostic.end_column);
    AppendField("message", diagnostic.message, &out);
    if (!diagnostic.hint.empty()) AppendField("hint", diagnostic.hint, &out);
    out += "}";
  }
  out += "],\"input_event_types\":[";
  for (size_t i = 0; i < result.input_event_types.size(); ++i) {
    if (i > 0) out += ",";
    engine::AppendJsonString(result.input_event_types[i], &out);
  }
  return out + "]}\n";
}

}  // namespace

int RunCheck(const CheckOptions& options) {
  if (options.format != "human" && options.format != "json") {
    std::cerr << "unknown format `" << options.format << "`: use human or json\n";
    return 2;
  }
  // One byte more than a program may have, so that a longer one is refused.
  const absl::StatusOr<std::string> read =
      engine::ReadTextFile(options.file, engine::kMaxSourceBytes + 1);
  if (!read.ok()) {
    std::cerr << read.status().message() << "\n";
    return 2;
  }
  const std::string& source = *read;
  const engine::CheckResult result = engine::Pipeline::Check(source);
  if (options.format == "json") {
    std::cout << ToJson(result);
  } else {
    const std::string name = options.file == "-" ? "stdin" : options.file;
    for (const engine::Diagnostic& diagnostic : result.diagnostics) {
      std::cout << engine::FormatDiagnostic(diagnostic, source, name);
    }
    if (result.ok()) std::cout << name << ": ok, " << result.streams.size() << " streams\n";
  }
  std::cout.flush();
  return result.ok() ? 0 : 1;
}

}  // namespace varpulis::cli
