#include "engine/lang/import.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/container/flat_hash_set.h"

#include "engine/lang/concat.h"
#include "engine/lang/lexer.h"
#include "engine/lang/parser.h"
#include "engine/lang/source_text.h"

namespace varpulis::engine {
namespace {

constexpr int kMaxImportDepth = 10;

class Loader {
 public:
  explicit Loader(const FileReader& read) : read_(read) {}

  absl::StatusOr<LoadedSource> Run(const std::string& path) {
    absl::StatusOr<std::string> text = read_(path);
    if (!text.ok()) return text.status();
    seen_.insert(Normal(path));
    Append(path, *std::move(text), 0);
    return std::move(loaded_);
  }

 private:
  static std::string Normal(const std::filesystem::path& path) {
    return path.lexically_normal().string();
  }

  void Append(const std::string& path, std::string text, int depth) {
    text.erase(0, ByteOrderMark(text));
    std::string blanked = text;
    if (text.size() <= kMaxSourceBytes) {
      DiagnosticList ignored(text);  // the checks of the whole say it again
      const Program program = ParseSource(text, ignored);
      DiagnosticList problems(text);
      for (const Statement& statement : program.statements) {
        const auto* import = std::get_if<ImportDecl>(&statement);
        if (import == nullptr) continue;
        Import(path, *import, depth, problems);
        for (size_t i = import->span.begin; i < import->span.end && i < blanked.size(); ++i) {
          if (blanked[i] != '\n') blanked[i] = ' ';
        }
      }
      for (Diagnostic& problem : problems.Take()) {
        problem.file = path;
        loaded_.diagnostics.push_back(std::move(problem));
      }
    }
    loaded_.parts.push_back({path, line_, std::move(text)});
    if (!blanked.empty() && blanked.back() != '\n') blanked += '\n';
    line_ += static_cast<int>(std::count(blanked.begin(), blanked.end(), '\n'));
    loaded_.text += blanked;
  }

  void Import(const std::string& importer, const ImportDecl& import, int depth,
              DiagnosticList& problems) {
    const std::string path =
        Normal(std::filesystem::path(importer).parent_path() / import.path.text);
    if (!seen_.insert(path).second) return;
    if (depth + 1 > kMaxImportDepth) {
      problems.Error(import.path.span, "E114",
                     Concat("imports are nested more than ", kMaxImportDepth, " deep"));
      return;
    }
    if (loaded_.text.size() > kMaxSourceBytes) return;  // refused as a whole
    absl::StatusOr<std::string> text = read_(path);
    if (!text.ok()) {
      const std::string reason(text.status().message());
      problems.Error(import.path.span, "E114", Concat("this file cannot be imported: ", reason),
                     "the path is relative to the importing file");
      return;
    }
    Append(path, *std::move(text), depth + 1);
  }

  const FileReader& read_;
  LoadedSource loaded_;
  absl::flat_hash_set<std::string> seen_;
  int line_ = 1;
};

}  // namespace

void LoadedSource::Locate(std::vector<Diagnostic>& found) const {
  auto locate = [&](int* line, std::string* file) {
    auto after = std::upper_bound(parts.begin(), parts.end(), *line,
                                  [](int at, const Part& part) { return at < part.first_line; });
    if (after == parts.begin()) return;
    const Part& part = *std::prev(after);
    *line -= part.first_line - 1;
    *file = part.file;
  };
  for (Diagnostic& diagnostic : found) {
    locate(&diagnostic.line, &diagnostic.file);
    if (diagnostic.related_line == 0) continue;
    locate(&diagnostic.related_line, &diagnostic.related_file);
    if (diagnostic.related_file == diagnostic.file) diagnostic.related_file.clear();
  }
}

std::string_view LoadedSource::TextOf(std::string_view file) const {
  for (const Part& part : parts) {
    if (part.file == file) return part.text;
  }
  return {};
}

absl::StatusOr<LoadedSource> LoadSource(const std::string& path, const FileReader& read) {
  return Loader(read).Run(path);
}

}  // namespace varpulis::engine
