#include "engine/lang/diagnostics.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"

#include "engine/lang/concat.h"
#include "engine/lang/source_text.h"

namespace varpulis::engine {
namespace {

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuationByte(c); }));
}

// Distance, or limit + 1 when it is larger. Lengths are bounded by the caller.
size_t EditDistance(std::string_view a, std::string_view b, size_t limit) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const bool same = absl::ascii_tolower(static_cast<unsigned char>(a[i - 1])) ==
                        absl::ascii_tolower(static_cast<unsigned char>(b[j - 1]));
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
      diagonal = above;
    }
  }
  return std::min(row[b.size()], limit + 1);
}

}  // namespace

LineIndex::LineIndex(std::string_view source) : source_(source) {
  starts_.push_back(ByteOrderMark(source));
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\n') starts_.push_back(i + 1);
  }
}

int LineIndex::Line(size_t offset) const {
  auto after = std::upper_bound(starts_.begin(), starts_.end(), std::max(offset, starts_[0]));
  return static_cast<int>(after - starts_.begin());
}

int LineIndex::Column(size_t offset) const {
  const size_t start = starts_[static_cast<size_t>(Line(offset)) - 1];
  const size_t end = std::max(start, std::min(offset, source_.size()));
  return static_cast<int>(CountCharacters(source_.substr(start, end - start))) + 1;
}

std::string_view LineIndex::LineText(int line) const {
  if (line < 1 || static_cast<size_t>(line) > starts_.size()) return {};
  const size_t start = starts_[static_cast<size_t>(line) - 1];
  size_t end = source_.find('\n', start);
  if (end == std::string_view::npos) end = source_.size();
  if (end > start && source_[end - 1] == '\r') --end;
  return source_.substr(start, end - start);
}

void DiagnosticList::Error(Span span, std::string code, std::string message, std::string hint,
                           std::optional<Span> related) {
  Add(Severity::kError, span, std::move(code), std::move(message), std::move(hint), related);
}

void DiagnosticList::Warn(Span span, std::string code, std::string message, std::string hint) {
  Add(Severity::kWarning, span, std::move(code), std::move(message), std::move(hint), std::nullopt);
}

void DiagnosticList::Add(Severity severity, Span span, std::string code, std::string message,
                         std::string hint, std::optional<Span> related) {
  Tally& tally = severity == Severity::kError ? errors_ : warnings_;
  if (muted_ || tally.count >= kMaxCounted) return;
  auto closed = closed_.lower_bound(std::max(span.end, span.begin + 1));
  if (closed != closed_.begin() && std::prev(closed)->second > span.begin) return;
  if (!tally.seen.emplace(span.begin, code, message).second) return;
  ++tally.count;
  if (tally.shown >= kMaxShown || ++tally.places[{span.begin, code}] > kMaxPerPlace) {
    if (tally.count == tally.shown + 1) tally.first_hidden = span;
    return;
  }
  ++tally.shown;
  Diagnostic diagnostic =
      Make(severity, span, std::move(code), std::move(message), std::move(hint));
  if (related.has_value()) diagnostic.related_line = lines_.Line(related->begin);
  items_.push_back({span.begin, std::move(diagnostic)});
}

void DiagnosticList::SayNoMoreAbout(Span span) {
  if (closed_.size() < kMaxCounted) closed_.emplace(span.begin, span.end);
}

Diagnostic DiagnosticList::Make(Severity severity, Span span, std::string code, std::string message,
                                std::string hint) const {
  Diagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.code = std::move(code);
  diagnostic.line = lines_.Line(span.begin);
  diagnostic.column = lines_.Column(span.begin);
  const bool one_line = lines_.Line(span.end) == diagnostic.line && span.end > span.begin;
  diagnostic.end_column = one_line ? lines_.Column(span.end) : diagnostic.column + 1;
  diagnostic.message = std::move(message);
  diagnostic.hint = std::move(hint);
  return diagnostic;
}

std::vector<Diagnostic> DiagnosticList::Take() {
  std::stable_sort(items_.begin(), items_.end(),
                   [](const Item& a, const Item& b) { return a.offset < b.offset; });
  std::vector<Diagnostic> result;
  result.reserve(items_.size() + 2);
  for (Item& item : items_) result.push_back(std::move(item.diagnostic));
  items_.clear();
  TakeRest(Severity::kError, errors_, result);
  TakeRest(Severity::kWarning, warnings_, result);
  return result;
}

void DiagnosticList::TakeRest(Severity severity, const Tally& tally,
                              std::vector<Diagnostic>& result) const {
  const size_t hidden = tally.count - tally.shown;
  if (hidden == 0) return;
  const bool error = severity == Severity::kError;
  result.push_back(
      Make(severity, tally.first_hidden, error ? "E141" : "W141",
           Concat(tally.count >= kMaxCounted ? "at least " : "", hidden, " more ",
                  error ? "error" : "warning", hidden == 1 ? " is" : "s are", " not shown"),
           "the first of them is here"));
}

std::string HintText(const Diagnostic& diagnostic) {
  std::string text = diagnostic.hint;
  if (diagnostic.related_line == 0) return text;
  if (!text.empty()) text += "; ";
  if (diagnostic.related_file.empty()) {
    ConcatTo(&text, "declared at line ", diagnostic.related_line);
  } else {
    ConcatTo(&text, "declared at ", diagnostic.related_file, ":", diagnostic.related_line);
  }
  return text;
}

std::string FormatDiagnostic(const Diagnostic& diagnostic, std::string_view source,
                             std::string_view file_name) {
  std::string out;
  if (!file_name.empty()) ConcatTo(&out, file_name, ":");
  ConcatTo(&out, diagnostic.line, ":", diagnostic.column, ": ",
           diagnostic.severity == Severity::kError ? "error" : "warning", ": [", diagnostic.code,
           "] ", diagnostic.message, "\n");
  // A line too long for a screen is cut around the place; the caret stays below its token.
  constexpr size_t kBefore = 80, kShown = 160;
  const std::string text = ValidUtf8(LineIndex(source).LineText(diagnostic.line));
  const std::string_view line = text;
  size_t start = 0;
  int characters = 1;
  while (start < line.size() && characters < diagnostic.column) {
    ++start;
    while (start < line.size() && IsContinuationByte(line[start])) ++start;
    ++characters;
  }
  size_t from = start > kBefore ? start - kBefore : 0;
  while (from > 0 && from < line.size() && IsContinuationByte(line[from])) --from;
  size_t to = std::min(line.size(), from + kShown);
  while (to < line.size() && IsContinuationByte(line[to])) ++to;
  const std::string_view shown = line.substr(from, to - from);
  ConcatTo(&out, "  ", shown, "\n  ");
  for (char c : line.substr(from, start - from)) {
    if (c == '\t') {
      out += '\t';
    } else if (!IsContinuationByte(c)) {
      out += ' ';
    }
  }
  const size_t room = std::max<size_t>(1, CountCharacters(line.substr(start, to - start)));
  const int width = diagnostic.end_column - diagnostic.column;
  out.append(std::clamp<size_t>(static_cast<size_t>(std::max(1, width)), 1, room), '^');
  out += '\n';
  if (const std::string hint = HintText(diagnostic); !hint.empty()) {
    ConcatTo(&out, "  hint: ", hint, "\n");
  }
  return out;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongestName = 64;  // bounds the work; longer names are not misspelt words
  constexpr size_t kMostCandidates = 2000;
  if (name.size() > kLongestName) return "";
  const size_t limit = std::clamp<size_t>(name.size() / 2, 1, 3);
  std::string best;
  size_t best_distance = limit + 1;
  size_t looked_at = 0;
  for (const std::string& candidate : candidates) {
    if (++looked_at > kMostCandidates) break;
    if (candidate.size() > kLongestName || candidate == name) continue;
    const size_t distance = EditDistance(name, candidate, limit);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestName(name, candidates);
  return nearest.empty() ? "" : Concat("did you mean `", nearest, "`?");
}

}  // namespace varpulis::engine
