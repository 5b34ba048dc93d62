#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

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

// Collects what the passes over one source have to say. The same code and text at the same place
// count once: a compile-time `for` repeats a mistake in its body. Thread-compatible.
class DiagnosticList {
 public:
  explicit DiagnosticList(std::string_view source) : lines_(source) {}

  void Error(Span span, std::string code, std::string message, std::string hint = "",
             std::optional<Span> related = std::nullopt);
  void Warn(Span span, std::string code, std::string message, std::string hint = "");

  bool has_errors() const { return errors_.count > 0; }
  // No further errors are shown: making hints for them is wasted work.
  bool enough_errors() const { return errors_.count >= kMaxShown; }
  bool enough_warnings() const { return warnings_.count >= kMaxShown; }
  // Further ones are not even counted, so that garbage cannot fill memory.
  bool full() const { return errors_.count >= kMaxCounted; }
  const LineIndex& lines() const { return lines_; }
  // Further messages whose place overlaps `span` would be false: it was no token.
  void SayNoMoreAbout(Span span);
  // While it is muted, nothing is taken.
  void set_muted(bool muted) { muted_ = muted; }
  // In source order; then how many more there are, as E141 and W141.
  std::vector<Diagnostic> Take();

 private:
  static constexpr size_t kMaxShown = 100;
  static constexpr size_t kMaxCounted = 10'000;
  // Texts with the number of a loop in them differ for one mistake, which must not hide others.
  static constexpr int kMaxPerPlace = 3;

  struct Item {
    size_t offset;
    Diagnostic diagnostic;
  };
  // Of one severity.
  struct Tally {
    size_t count = 0;
    size_t shown = 0;
    Span first_hidden;
    absl::flat_hash_map<std::pair<size_t, std::string>, int> places;  // by offset and code
    absl::flat_hash_set<std::tuple<size_t, std::string, std::string>> seen;
  };
  void Add(Severity severity, Span span, std::string code, std::string message, std::string hint,
           std::optional<Span> related);
  Diagnostic Make(Severity severity, Span span, std::string code, std::string message,
                  std::string hint) const;
  void TakeRest(Severity severity, const Tally& tally, std::vector<Diagnostic>& result) const;

  LineIndex lines_;
  std::vector<Item> items_;
  Tally errors_, warnings_;
  std::map<size_t, size_t> closed_;  // begin and end of what SayNoMoreAbout named
  bool muted_ = false;
};

// The candidate nearest to `name` (case-insensitive Levenshtein distance of at most a third to a
// half of its length), or an empty string.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);
// "did you mean `x`?" or an empty string.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace varpulis::engine
