#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace varpulis::engine {

enum class Severity { kError, kWarning };

// One message about a place in the source. Value type.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string code;    // "E030"; errors begin with E, warnings with W
  int line = 1;        // 1-based
  int column = 1;      // 1-based, in characters (code points)
  int end_column = 2;  // one past the last character on `line`
  std::string message;
  std::string hint;  // may be empty
  // Where the other declaration is that the message is about; 0: there is none.
  int related_line = 0;
  // Set by LoadedSource::Locate where a program has several files.
  std::string file;
  std::string related_file;
};

// The hint and the related place, as people read them; may be empty.
std::string HintText(const Diagnostic& diagnostic);

// line:col: error: [CODE] text, the source line, a caret line and the hint. `file_name` goes in
// front when it is not empty. Every line ends with a newline.
std::string FormatDiagnostic(const Diagnostic& diagnostic, std::string_view source,
                             std::string_view file_name);

// Byte range [begin, end) of the source.
struct Span {
  size_t begin = 0;
  size_t end = 0;
};

// Turns byte offsets into lines and columns. Borrows the source.
class LineIndex {
 public:
  explicit LineIndex(std::string_view source);

  int Line(size_t offset) const;
  int Column(size_t offset) const;
  std::string_view LineText(int line) const;

 private:
  std::string_view source_;
  std::vector<size_t> starts_;
};

// Collects what the passes over one source have to say. Thread-compatible.
class DiagnosticList {
 public:
  explicit DiagnosticList(std::string_view source) : lines_(source) {}

  void Error(Span span, std::string code, std::string message, std::string hint = "",
             std::optional<Span> related = std::nullopt);
  void Warn(Span span, std::string code, std::string message, std::string hint = "");

  bool has_errors() const { return errors_ > 0; }
  // No further errors are kept once the list is full, so that garbage cannot fill memory.
  bool full() const { return errors_ >= kMaxItems; }
  // The same for warnings: making further ones is wasted work.
  bool enough_warnings() const { return warnings_ >= kMaxItems; }
  const LineIndex& lines() const { return lines_; }
  // In source order.
  std::vector<Diagnostic> Take();

 private:
  static constexpr size_t kMaxItems = 100;
  void Add(Severity severity, Span span, std::string code, std::string message, std::string hint,
           std::optional<Span> related);

  struct Item {
    size_t offset;
    Diagnostic diagnostic;
  };
  LineIndex lines_;
  std::vector<Item> items_;
  size_t errors_ = 0;
  size_t warnings_ = 0;
};

// The candidate nearest to `name` (case-insensitive Levenshtein distance of at most a third to a
// half of its length), or an empty string.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);
// "did you mean `x`?" or an empty string.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace varpulis::engine
