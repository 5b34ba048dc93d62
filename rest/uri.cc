#include "rest/uri.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace varpulis::rest {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = absl::ascii_tolower(static_cast<unsigned char>(c));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "host:port" → "host"; the brackets of an IPv6 address stay.
absl::string_view HostOf(absl::string_view authority) {
  if (absl::StartsWith(authority, "[")) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

// A Host header is the client's text; only what can be a host name or an address is let through.
bool IsPlainHost(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
}

}  // namespace

std::optional<std::string> PercentDecode(absl::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      if (c == '\0') return std::nullopt;
      i += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    decoded.push_back(c);
  }
  return decoded;
}

std::optional<Uri> ParseTarget(absl::string_view target) {
  for (absl::string_view scheme : {"http://", "https://"}) {  // absolute-form, as a proxy sends it
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    const size_t path = target.find('/', scheme.size());
    target = path == absl::string_view::npos ? absl::string_view("/") : target.substr(path);
    break;
  }
  if (!absl::StartsWith(target, "/")) return std::nullopt;
  target = target.substr(0, target.find('#'));

  Uri uri;
  const size_t mark = target.find('?');
  absl::string_view path = target.substr(1, mark == absl::string_view::npos ? mark : mark - 1);
  if (absl::EndsWith(path, "/")) path.remove_suffix(1);
  if (!path.empty()) {
    for (absl::string_view segment : absl::StrSplit(path, '/')) {
      std::optional<std::string> decoded = PercentDecode(segment, /*plus_is_blank=*/false);
      if (!decoded) return std::nullopt;
      uri.segments.push_back(*std::move(decoded));
    }
  }
  if (mark == absl::string_view::npos) return uri;
  for (absl::string_view pair : absl::StrSplit(target.substr(mark + 1), '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    std::optional<std::string> name = PercentDecode(parts.first, /*plus_is_blank=*/true);
    std::optional<std::string> value = PercentDecode(parts.second, /*plus_is_blank=*/true);
    if (!name || !value) return std::nullopt;
    uri.query.emplace_back(*std::move(name), *std::move(value));
  }
  return uri;
}

std::string ReplaceLoopbackHost(const std::string& url, absl::string_view host_header) {
  const absl::string_view host = HostOf(host_header);
  if (IsLoopback(host) || !IsPlainHost(host)) return url;
  const size_t scheme = url.find("://");
  const size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  const absl::string_view authority = absl::string_view(url).substr(start);
  const absl::string_view own = HostOf(authority);
  if (!IsLoopback(own)) return url;
  return absl::StrCat(url.substr(0, start), host, authority.substr(own.size()));
}

}  // namespace varpulis::rest
