#include "engine/lang/template.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"

#include "engine/lang/concat.h"
#include "engine/lang/source_text.h"

namespace varpulis::engine {
namespace {

constexpr int64_t kMaxIterations = 10'000;
constexpr int kMaxPasses = 10;
// Of text and, since every piece costs memory too, of pieces of the map.
constexpr size_t kMaxExpandedBytes = 4 << 20;
constexpr size_t kMaxPieces = 1 << 20;

bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNameChar(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// `for NAME in A..B:` and nothing else but a comment.
struct LoopHeader {
  std::string_view name;
  int64_t first = 0;
  int64_t last = 0;  // exclusive
};

class HeaderReader {
 public:
  explicit HeaderReader(std::string_view line) : line_(line) {}

  std::optional<LoopHeader> Read() {
    LoopHeader header;
    if (!Word("for") || !Space() || !Name(&header.name) || !Space() || !Word("in") || !Space() ||
        !Number(&header.first)) {
      return std::nullopt;
    }
    Space();
    if (!Word("..")) return std::nullopt;
    const bool inclusive = Word("=");
    Space();
    if (!Number(&header.last)) return std::nullopt;
    Space();
    if (!Word(":")) return std::nullopt;
    Space();
    const std::string_view rest = line_.substr(at_);
    if (!rest.empty() && rest[0] != '#' && rest.substr(0, 2) != "//") return std::nullopt;
    if (inclusive && __builtin_add_overflow(header.last, 1, &header.last)) return std::nullopt;
    return header;
  }

 private:
  bool Word(std::string_view word) {
    if (line_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }
  bool Space() {
    const size_t begin = at_;
    while (at_ < line_.size() && IsBlank(line_[at_])) ++at_;
    return at_ > begin;
  }
  bool Name(std::string_view* name) {
    const size_t begin = at_;
    if (at_ >= line_.size() || !IsNameStart(line_[at_])) return false;
    while (at_ < line_.size() && IsNameChar(line_[at_])) ++at_;
    *name = line_.substr(begin, at_ - begin);
    return true;
  }
  bool Number(int64_t* number) {
    const char* begin = line_.data() + at_;
    const auto read = std::from_chars(begin, line_.data() + line_.size(), *number);
    at_ += static_cast<size_t>(read.ptr - begin);
    return read.ec == std::errc();
  }

  std::string_view line_;
  size_t at_ = 0;
};

class Expander {
 public:
  Expander(std::string_view source, DiagnosticList& diagnostics) : diagnostics_(diagnostics) {
    text_ = std::string(source);
    map_.Append(source.size(), {0, source.size()}, /*verbatim=*/true);
  }

  ExpandedSource Run() {
    ExpandedSource result;
    for (int pass = 0; Pass(/*report_only=*/pass >= kMaxPasses); ++pass) {
      result.changed = true;
      // Its first part is no program, and no text worth the time.
      if (too_large_) return result;
    }
    if (!result.changed) return result;
    result.text = std::move(text_);
    result.map = std::move(map_);
    return result;
  }

 private:
  size_t LineEnd(size_t begin) const {  // behind the newline
    const size_t newline = text_.find('\n', begin);
    return newline == std::string::npos ? text_.size() : newline + 1;
  }
  std::string_view Line(size_t begin, size_t end) const {
    std::string_view line = std::string_view(text_).substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    return line;
  }

  void Copy(size_t begin, size_t end) {
    next_.append(text_, begin, end - begin);
    next_map_.AppendFrom(map_, begin, end);
  }

  // False when there was no loop left.
  bool Pass(bool report_only) {
    next_.clear();
    next_map_ = SourceMap();
    bool found = false;
    size_t kept_from = 0;
    for (size_t at = ByteOrderMark(text_); at < text_.size();) {
      const size_t end = LineEnd(at);
      std::optional<LoopHeader> header;
      if (text_.compare(at, 3, "for") == 0) header = HeaderReader(Line(at, end)).Read();
      if (!header.has_value()) {
        at = end;
        continue;
      }
      Copy(kept_from, at);
      size_t body_end = end;
      while (body_end < text_.size() && (IsBlank(text_[body_end]) || text_[body_end] == '\n')) {
        body_end = LineEnd(body_end);
      }
      const Span place{at, at + Line(at, end).size()};
      if (report_only) {
        Fail(place, Concat("compile-time `for` loops nest more than ", kMaxPasses, " deep"));
      } else {
        Repeat(*header, place, end, body_end);
      }
      if (too_large_) return true;
      found = true;
      at = kept_from = body_end;
    }
    if (!found) return false;
    Copy(kept_from, text_.size());
    text_ = std::move(next_);
    map_ = std::move(next_map_);
    return !report_only;
  }

  void Fail(Span place, std::string message, std::string hint = "") {
    diagnostics_.Error(map_.Original(place), "E113", std::move(message), std::move(hint));
  }

  void Repeat(const LoopHeader& header, Span place, size_t body, size_t body_end) {
    // Unsigned, since the difference of two int64 may not fit.
    const uint64_t count = header.last > header.first ? static_cast<uint64_t>(header.last) -
                                                            static_cast<uint64_t>(header.first)
                                                      : 0;
    if (count > static_cast<uint64_t>(kMaxIterations)) {
      return Fail(place,
                  Concat("a compile-time `for` may have at most ", kMaxIterations, " iterations"));
    }
    const std::string_view indent = Indent(body, body_end);
    const std::string variable = Concat("{", header.name, "}");
    for (uint64_t i = 0; i < count; ++i) {
      const std::string number = Concat(header.first + static_cast<int64_t>(i));
      for (size_t at = body; at < body_end; at = LineEnd(at)) {
        RepeatLine(at, LineEnd(at), indent, variable, number);
      }
      if (!next_.empty() && next_.back() != '\n') {
        next_ += '\n';  // the last line of the file
        next_map_.Append(1, {body_end, body_end}, /*verbatim=*/false);
      }
      if (next_.size() > kMaxExpandedBytes || next_map_.pieces() > kMaxPieces) {
        too_large_ = true;
        return Fail(place, "the program becomes too large when this `for` is expanded");
      }
    }
  }

  // Of the first line that is not blank.
  std::string_view Indent(size_t body, size_t body_end) const {
    for (size_t at = body; at < body_end; at = LineEnd(at)) {
      const std::string_view line = Line(at, LineEnd(at));
      size_t spaces = 0;
      while (spaces < line.size() && IsBlank(line[spaces])) ++spaces;
      if (spaces < line.size()) return line.substr(0, spaces);
    }
    return {};
  }

  void RepeatLine(size_t begin, size_t end, std::string_view indent, std::string_view variable,
                  std::string_view number) {
    // A line indented less, which may still be deeper than the `for`, loses what it has.
    for (size_t i = 0; i < indent.size() && begin < end && text_[begin] == indent[i]; ++i) ++begin;
    while (begin < end) {
      const size_t offset = std::string_view(text_).substr(begin, end - begin).find(variable);
      const size_t found = offset == std::string_view::npos ? end : begin + offset;
      Copy(begin, found);
      if (found == end) return;
      next_ += number;
      next_map_.Append(number.size(), map_.Original({found, found + variable.size()}),
                       /*verbatim=*/false);
      begin = found + variable.size();
    }
  }

  DiagnosticList& diagnostics_;
  std::string text_, next_;
  SourceMap map_, next_map_;
  bool too_large_ = false;
};

}  // namespace

void SourceMap::Append(size_t length, Span original, bool verbatim) {
  if (length == 0) return;
  if (verbatim && !pieces_.empty() && pieces_.back().verbatim &&
      pieces_.back().original.end == original.begin) {
    pieces_.back().original.end = original.end;
    size_ += length;
    return;
  }
  pieces_.push_back({size_, original, verbatim});
  size_ += length;
}

size_t SourceMap::Find(size_t offset) const {
  auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](size_t at, const Piece& piece) { return at < piece.begin; });
  return after == pieces_.begin() ? 0 : static_cast<size_t>(after - pieces_.begin()) - 1;
}

void SourceMap::AppendFrom(const SourceMap& other, size_t begin, size_t end) {
  for (size_t i = other.Find(begin); begin < end && i < other.pieces_.size(); ++i) {
    const Piece& piece = other.pieces_[i];
    const size_t piece_end =
        i + 1 < other.pieces_.size() ? other.pieces_[i + 1].begin : other.size_;
    const size_t part_end = std::min(end, piece_end);
    Span original = piece.original;
    if (piece.verbatim) {
      original.begin += begin - piece.begin;
      original.end = original.begin + (part_end - begin);
    }
    Append(part_end - begin, original, piece.verbatim);
    begin = part_end;
  }
}

Span SourceMap::Original(Span expanded) const {
  if (pieces_.empty()) return expanded;
  const Piece& first = pieces_[Find(expanded.begin)];
  Span original = first.original;
  if (first.verbatim) original.begin += expanded.begin - first.begin;
  if (expanded.end <= expanded.begin) return {original.begin, original.begin};
  const Piece& last = pieces_[Find(expanded.end - 1)];
  original.end =
      last.verbatim ? last.original.begin + (expanded.end - last.begin) : last.original.end;
  return original;
}

ExpandedSource ExpandTemplates(std::string_view source, DiagnosticList& diagnostics) {
  // Most programs have no loop at all, and then nothing is copied.
  const bool candidate = source.substr(ByteOrderMark(source), 3) == "for" ||
                         source.find("\nfor") != std::string_view::npos;
  if (!candidate) return {};
  return Expander(source, diagnostics).Run();
}

}  // namespace varpulis::engine
