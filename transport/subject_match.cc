#include "transport/subject_match.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace varpulis::transport {
namespace {

// Cuts the first token off `rest`.
absl::string_view NextToken(absl::string_view& rest) {
  const size_t dot = std::min(rest.find('.'), rest.size());
  const absl::string_view token = rest.substr(0, dot);
  rest.remove_prefix(std::min(dot + 1, rest.size()));
  return token;
}

absl::Status CheckTokens(absl::string_view subject) {
  const bool blank = std::any_of(subject.begin(), subject.end(), [](unsigned char c) {
    return absl::ascii_isspace(c) || absl::ascii_iscntrl(c);
  });
  if (subject.empty() || blank || subject.front() == '.' || subject.back() == '.' ||
      subject.find("..") != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid subject \"", absl::CHexEscape(subject), "\""));
  }
  return absl::OkStatus();
}

}  // namespace

bool SubjectMatches(absl::string_view pattern, absl::string_view subject) {
  while (!pattern.empty() && !subject.empty()) {
    const absl::string_view wanted = NextToken(pattern);
    if (wanted == ">") return pattern.empty();
    const absl::string_view token = NextToken(subject);
    if (wanted != "*" && wanted != token) return false;
  }
  return pattern.empty() && subject.empty();
}

bool HasWildcard(absl::string_view pattern) {
  while (!pattern.empty()) {
    const absl::string_view token = NextToken(pattern);
    if (token == "*" || token == ">") return true;
  }
  return false;
}

absl::Status CheckSubject(absl::string_view subject) {
  RETURN_IF_ERROR(CheckTokens(subject));
  if (!HasWildcard(subject)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("wildcards in subject \"", subject, "\""));
}

absl::Status CheckPattern(absl::string_view pattern) {
  RETURN_IF_ERROR(CheckTokens(pattern));
  for (absl::string_view rest = pattern; !rest.empty();) {
    if (NextToken(rest) == ">" && !rest.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("> is not the last token of \"", pattern, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace varpulis::transport
