#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/diagnostics.h"

namespace varpulis::engine {

// Where the bytes of an expanded text come from. Pieces follow each other without gaps.
class SourceMap {
 public:
  // `length` bytes of the expanded text; they stand for the `original` bytes, one to one when
  // both are of one length and `verbatim`.
  void Append(size_t length, Span original, bool verbatim);
  // What bytes [begin, end) of the expanded text become when copied once more.
  void AppendFrom(const SourceMap& other, size_t begin, size_t end);

  Span Original(Span expanded) const;
  size_t size() const { return size_; }
  size_t pieces() const { return pieces_.size(); }

 private:
  struct Piece {
    size_t begin;  // in the expanded text
    Span original;
    bool verbatim;
  };
  size_t Find(size_t offset) const;

  std::vector<Piece> pieces_;
  size_t size_ = 0;
};

// A text without compile-time loops; empty when it would be too large.
struct ExpandedSource {
  bool changed = false;  // false: the source had none, and the other members are empty
  std::string text;
  SourceMap map;
};

// Repeats the bodies of `for NAME in A..B:` at column 0 (vpl.md §1.3), before lexing: `{NAME}` in
// the body becomes the number. Loops that are too long, too deep or too large are reported (E113)
// and left out. Pure.
ExpandedSource ExpandTemplates(std::string_view source, DiagnosticList& diagnostics);

}  // namespace varpulis::engine
