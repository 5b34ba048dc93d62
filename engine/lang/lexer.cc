#include "engine/lang/lexer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/civil_time.h"

#include "engine/lang/concat.h"
#include "engine/lang/source_text.h"

namespace varpulis::engine {
namespace {

bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameChar(char c) { return IsNameStart(c) || IsDigit(c); }

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
constexpr int64_t kSecond = 1'000'000'000;
constexpr Unit kUnits[] = {
    {"ns", 1},           {"us", 1000},          {"ms", 1'000'000},     {"s", kSecond},
    {"m", 60 * kSecond}, {"h", 3600 * kSecond}, {"d", 86400 * kSecond}};

// Longest first, so that `..=` is not `..` and `=`.
constexpr std::string_view kSymbols[] = {
    "..=", "..", "**", "==", "!=", "<=", ">=", "<<", ">>", "->", "=>", ":=",
    "?.",  "??", "(",  ")",  "[",  "]",  "{",  "}",  ",",  ".",  ":",  "=",
    "<",   ">",  "+",  "-",  "*",  "/",  "%",  "&",  "|",  "^",  "~",  "?",
};

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (code >> 6)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (code >> 12)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | (code >> 18)));
    out->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

class Lexer {
 public:
  Lexer(std::string_view source, DiagnosticList& diagnostics, const SourceMap* map)
      : source_(source),
        diagnostics_(diagnostics),
        map_(map),
        at_(ByteOrderMark(source)),
        line_start_(at_) {}

  std::vector<Token> Run() {
    while (SkipSpace() && Next()) {
    }
    for (Problem& problem : problems_) {
      const Span span = Original(problem.span);
      if (!problem.code.empty()) {
        diagnostics_.Error(span, std::move(problem.code), std::move(problem.message),
                           std::move(problem.hint));
      }
      diagnostics_.SayNoMoreAbout(span);
    }
    Token end;
    end.span = Original({source_.size(), source_.size()});
    end.starts_line = true;
    tokens_.push_back(std::move(end));
    return std::move(tokens_);
  }

 private:
  Span Original(Span span) const { return map_ == nullptr ? span : map_->Original(span); }
  char At(size_t index) const { return index < source_.size() ? source_[index] : '\0'; }
  bool Rest(std::string_view prefix) const {
    return source_.compare(at_, prefix.size(), prefix) == 0;
  }

  // False at the end of the source.
  bool SkipSpace() {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '\n') {
        ++at_;
        line_start_ = at_;
        starts_line_ = true;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == '#' || Rest("//")) {
        at_ = std::min(source_.find('\n', at_), source_.size());
      } else if (Rest("/*")) {
        const size_t close = source_.find("*/", at_ + 2);
        if (close == std::string_view::npos) {
          Fail(2, "comment without `*/`").open_end = true;
          at_ = source_.size();
          return false;
        }
        for (; at_ < close + 2; ++at_) {
          if (source_[at_] == '\n') {
            line_start_ = at_ + 1;
            starts_line_ = true;
          }
        }
      } else {
        return true;
      }
    }
    return false;
  }

  Token& Add(TokenKind kind, size_t length) {
    Token token;
    token.kind = kind;
    token.span = Original({at_, at_ + length});
    token.text = source_.substr(at_, length);
    token.starts_line = starts_line_;
    token.column = static_cast<int>(at_ - line_start_);
    if (starts_line_) {
      // Without comments that stand before it.
      const size_t blank = source_.find_first_not_of(" \t", line_start_);
      token.indent = source_.substr(line_start_, std::min(at_, blank) - line_start_);
    }
    starts_line_ = false;
    at_ += length;
    tokens_.push_back(std::move(token));
    return tokens_.back();
  }

  Token& Fail(size_t length, std::string message, std::string hint = "") {
    return AddError("E101", length, std::move(message), std::move(hint));
  }
  Token& AddError(std::string code, size_t length, std::string message, std::string hint) {
    problems_.push_back(
        {{at_, at_ + length}, std::move(code), std::move(message), std::move(hint)});
    return Add(TokenKind::kError, length);
  }

  // False when lexing must stop.
  bool Next() {
    if (problems_.size() >= kMaxProblems) return false;
    const char c = source_[at_];
    if (IsNameStart(c)) {
      size_t end = at_ + 1;
      while (IsNameChar(At(end))) ++end;
      Add(TokenKind::kName, end - at_);
    } else if (IsDigit(c)) {
      Number();
    } else if (c == '"' || c == '\'') {
      String(c);
    } else if (c == '@') {
      Timestamp();
    } else {
      Symbol();
    }
    return true;
  }

  void Number() {
    size_t end = at_;
    while (IsDigit(At(end))) ++end;
    bool is_float = false;
    if (At(end) == '.' && IsDigit(At(end + 1))) {
      is_float = true;
      ++end;
      while (IsDigit(At(end))) ++end;
    }
    if (At(end) == 'e' || At(end) == 'E') {
      size_t exponent = end + 1;
      if (At(exponent) == '+' || At(exponent) == '-') ++exponent;
      if (IsDigit(At(exponent))) {
        is_float = true;
        end = exponent;
        while (IsDigit(At(end))) ++end;
      }
    }
    size_t word_end = end;
    while (IsNameChar(At(word_end))) ++word_end;
    const std::string_view digits = source_.substr(at_, end - at_);
    const std::string_view suffix = source_.substr(end, word_end - end);
    if (is_float && suffix.empty()) {
      double value = 0;
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (parsed.ec != std::errc()) {  // out of range; tiny numbers round to what is nearest
        value = std::strtod(std::string(digits).c_str(), nullptr);
        if (std::isinf(value)) {
          Fail(digits.size(), "number is too large for 64 bits");
          return;
        }
      }
      Add(TokenKind::kFloat, digits.size()).real = value;
      return;
    }
    int64_t value = 0;
    const bool fits =
        std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc();
    if (!is_float && suffix.empty()) {
      if (!fits) {
        Fail(digits.size(), "integer does not fit 64 bits");
        return;
      }
      Add(TokenKind::kInt, digits.size()).integer = value;
      return;
    }
    for (const Unit& unit : kUnits) {
      if (is_float || unit.name != suffix) continue;
      int64_t nanoseconds = 0;
      if (!fits || __builtin_mul_overflow(value, unit.nanoseconds, &nanoseconds)) {
        Fail(word_end - at_, "duration is too long");
        return;
      }
      Add(TokenKind::kDuration, word_end - at_).integer = nanoseconds;
      return;
    }
    Fail(word_end - at_, Concat("`", source_.substr(at_, word_end - at_), "` is not a number"),
         "a duration is a whole number and one of ns us ms s m h d, such as 90s");
  }

  void String(char quote) {
    std::string text;
    size_t i = at_ + 1;
    while (i < source_.size() && source_[i] != quote) {
      if (source_[i] != '\\' || i + 1 >= source_.size()) {
        text += source_[i++];
        continue;
      }
      const char escape = source_[i + 1];
      const size_t known = std::string_view("ntr\\\"'").find(escape);
      if (known != std::string_view::npos) {
        text += "\n\t\r\\\"'"[known];
        i += 2;
      } else if (escape == 'u' && UnicodeEscape(&i, &text)) {
      } else {
        text += '\\';
        text += escape;
        i += 2;
      }
    }
    if (i >= source_.size()) {
      RewindToOpenString();
      const size_t line_end = std::min(source_.find('\n', at_), source_.size());
      Fail(std::max<size_t>(1, line_end - at_), "string without closing quote").open_end = true;
      return;
    }
    const size_t begin = at_;
    Add(TokenKind::kString, i + 1 - at_).string = std::move(text);
    const size_t last_newline = source_.substr(begin, i - begin).rfind('\n');
    if (last_newline != std::string_view::npos) line_start_ = begin + last_newline + 1;
  }

  // The quote that has no partner is the last one of the program, yet the missing one is where a
  // string began to take the program for its text: it spans lines, and a name follows at once.
  void RewindToOpenString() {
    if (++rewinds_ > kMaxRewinds) return;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      const auto begin = static_cast<size_t>(token.text.data() - source_.data());
      if (token.kind != TokenKind::kString || !IsNameStart(At(begin + token.text.size())) ||
          token.text.find('\n') == std::string_view::npos) {
        continue;
      }
      at_ = begin;
      line_start_ = begin - static_cast<size_t>(token.column);
      starts_line_ = token.starts_line;
      tokens_.resize(i);
      depth_ = 0;
      for (const Token& kept : tokens_) CountBracket(kept.text);
      while (!problems_.empty() && problems_.back().span.begin > begin) problems_.pop_back();
      return;
    }
  }

  // `\u{…}` at *i.
  bool UnicodeEscape(size_t* i, std::string* text) const {
    if (At(*i + 2) != '{') return false;
    const size_t close = source_.find('}', *i);
    if (close == std::string_view::npos || close - *i > 9) return false;
    const std::string_view hex = source_.substr(*i + 3, close - *i - 3);
    uint32_t code = 0;
    const auto parsed = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.empty() || parsed.ec != std::errc() || parsed.ptr != hex.data() + hex.size())
      return false;
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    AppendUtf8(code, text);
    *i = close + 1;
    return true;
  }

  // `width` digits at *i.
  bool Digits(size_t* i, int width, int* value) const {
    *value = 0;
    for (int k = 0; k < width; ++k, ++*i) {
      if (!IsDigit(At(*i))) return false;
      *value = *value * 10 + (At(*i) - '0');
    }
    return true;
  }
  bool Char(size_t* i, char c) const {
    if (At(*i) != c) return false;
    ++*i;
    return true;
  }

  void Timestamp() {
    size_t i = at_ + 1;
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offset = 0;
    bool ok = Digits(&i, 4, &year) && Char(&i, '-') && Digits(&i, 2, &month) && Char(&i, '-') &&
              Digits(&i, 2, &day);
    if (ok && At(i) == 'T') {
      ++i;
      ok = Digits(&i, 2, &hour) && Char(&i, ':') && Digits(&i, 2, &minute) && Char(&i, ':') &&
           Digits(&i, 2, &second);
      if (ok && At(i) == 'Z') {
        ++i;
      } else if (ok && (At(i) == '+' || (At(i) == '-' && IsDigit(At(i + 1))))) {
        const int sign = At(i) == '-' ? -1 : 1;
        int zone_hour = 0, zone_minute = 0;
        ++i;
        ok = Digits(&i, 2, &zone_hour) && Char(&i, ':') && Digits(&i, 2, &zone_minute) &&
             zone_hour <= 23 && zone_minute <= 59;
        offset = sign * (zone_hour * 3600 + zone_minute * 60);
      }
    }
    ok = ok && !IsNameChar(At(i)) && hour <= 23 && minute <= 59 && second <= 59;
    const absl::CivilDay civil(year, month, day);
    // CivilDay carries what is out of range into the next month.
    ok = ok && civil.year() == year && civil.month() == month && civil.day() == day;
    int64_t ns = 0;
    const int64_t days = civil - absl::CivilDay(1970, 1, 1);
    const int64_t seconds =
        days * 86400 + int64_t{hour} * 3600 + int64_t{minute} * 60 + second - offset;
    if (!ok || __builtin_mul_overflow(seconds, kSecond, &ns)) {
      while (IsNameChar(At(i)) || At(i) == ':' || At(i) == '+') ++i;
      Fail(std::max<size_t>(1, i - at_), "not a timestamp",
           "write @2026-01-31 or @2026-01-31T23:59:59Z, with a zone such as +02:00");
      return;
    }
    Add(TokenKind::kTimestamp, i - at_).integer = ns;
  }

  void CountBracket(std::string_view text) {
    if (text == "(" || text == "[" || text == "{") ++depth_;
    if (text == ")" || text == "]" || text == "}") depth_ = std::max(0, depth_ - 1);
  }

  void Symbol() {
    for (std::string_view symbol : kSymbols) {
      if (!Rest(symbol)) continue;
      const int outside = depth_;
      CountBracket(symbol);
      if (std::max(outside, depth_) > kMaxBracketDepth) {
        if (outside == kMaxBracketDepth) {
          AddError("E102", 1, Concat("brackets are nested more than ", kMaxBracketDepth, " deep"),
                   "");
        } else {
          problems_.push_back({{at_, at_ + 1}, "", "", ""});
          Add(TokenKind::kError, symbol.size());
        }
        tokens_.back().open_end = true;
        return;
      }
      if (symbol == "&" && At(at_ + 1) == '&') {
        Fail(2, "`&&` is not an operator", "write `and`");
        return;
      } else if (symbol == "|" && At(at_ + 1) == '|') {
        Fail(2, "`||` is not an operator", "write `or`");
        return;
      }
      Add(TokenKind::kSymbol, symbol.size());
      return;
    }
    if (source_[at_] == '!') {
      Fail(1, "`!` is not an operator", "write `not`");
      return;
    }
    if (source_[at_] == ';') {
      Fail(1, "`;` is not used", "statements need no terminator");
      tokens_.pop_back();
      return;
    }
    size_t length = 1;
    while ((static_cast<unsigned char>(At(at_ + length)) & 0xC0) == 0x80) ++length;
    const unsigned char byte = static_cast<unsigned char>(source_[at_]);
    Fail(length, byte < 0x20 || byte == 0x7F || byte >= 0x80
                     ? "unexpected character"
                     : Concat("unexpected character `", source_.substr(at_, length), "`"));
  }

  // Told at the end only, since it may turn out to be text.
  struct Problem {
    Span span;
    std::string code;  // empty: as the one before
    std::string message;
    std::string hint;
  };
  static constexpr size_t kMaxProblems = 10'000;

  std::string_view source_;
  DiagnosticList& diagnostics_;
  const SourceMap* map_;
  size_t at_;
  size_t line_start_;
  bool starts_line_ = true;
  int depth_ = 0;
  static constexpr int kMaxRewinds = 20;
  int rewinds_ = 0;
  std::vector<Token> tokens_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Token> Lex(std::string_view source, DiagnosticList& diagnostics, const SourceMap* map) {
  return Lexer(source, diagnostics, map).Run();
}

}  // namespace varpulis::engine
