#include "cli/parse.h"

#include <iostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "cli/program_file.h"
#include "engine/io/json_writer.h"
#include "engine/lang/lexer.h"
#include "engine/lang/parser.h"
#include "engine/lang/tree.h"

namespace varpulis::cli {
namespace {

// {"kind":…,"text":…,"file":…,"line":…,"column":…,"children":[…]}, without what is empty.
class JsonTree {
 public:
  JsonTree(const engine::LoadedSource& loaded) : loaded_(loaded), lines_(loaded.text) {}

  void Append(const engine::TreeNode& node, std::string* out) const {
    *out += "{\"kind\":";
    engine::AppendJsonString(node.kind, out);
    if (!node.text.empty()) {
      *out += ",\"text\":";
      engine::AppendJsonString(node.text, out);
    }
    if (node.span.end > node.span.begin) AppendPlace(node.span, out);
    if (!node.children.empty()) {
      *out += ",\"children\":[";
      for (size_t i = 0; i < node.children.size(); ++i) {
        if (i > 0) *out += ',';
        Append(node.children[i], out);
      }
      *out += ']';
    }
    *out += '}';
  }

 private:
  void AppendPlace(engine::Span span, std::string* out) const {
    std::vector<engine::Diagnostic> place(1);
    place[0].line = lines_.Line(span.begin);
    loaded_.Locate(place);
    if (loaded_.parts.size() > 1) {
      *out += ",\"file\":";
      engine::AppendJsonString(place[0].file, out);
    }
    *out += ",\"line\":" + std::to_string(place[0].line);
    *out += ",\"column\":" + std::to_string(lines_.Column(span.begin));
  }

  const engine::LoadedSource& loaded_;
  const engine::LineIndex lines_;
};

}  // namespace

int RunParse(const ParseOptions& options) {
  if (options.format != "tree" && options.format != "json") {
    std::cerr << "unknown format `" << options.format << "`: use tree or json\n";
    return 2;
  }
  const absl::StatusOr<engine::LoadedSource> loaded = LoadProgram(options.file);
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return 2;
  }
  if (loaded->text.size() > engine::kMaxSourceBytes) {
    std::cerr << "the program is larger than " << engine::kMaxSourceBytes << " bytes\n";
    return 1;
  }
  engine::DiagnosticList diagnostics(loaded->text);
  const engine::Program program = engine::ParseSource(loaded->text, diagnostics);
  const bool ok = !diagnostics.has_errors() && loaded->diagnostics.empty();
  std::cerr << Formatted(*loaded, Located(*loaded, diagnostics.Take()));
  const engine::TreeNode tree = engine::TreeOf(program);
  if (options.format == "json") {
    std::string json;
    JsonTree(*loaded).Append(tree, &json);
    std::cout << json << "\n";
  } else {
    std::cout << engine::TreeText(tree);
  }
  std::cout.flush();
  return ok ? 0 : 1;
}

}  // namespace varpulis::cli
