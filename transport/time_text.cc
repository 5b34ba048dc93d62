#include "transport/time_text.h"

#include <cstdio>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace varpulis::transport {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerMilli = 1'000'000;

// `count` digits off the front of `text`; nullopt when there are fewer.
std::optional<int> TakeDigits(absl::string_view& text, size_t count) {
  if (text.size() < count) return std::nullopt;
  int number = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!absl::ascii_isdigit(text[i])) return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool Take(absl::string_view& text, char c) {
  if (text.empty() || absl::ascii_toupper(text.front()) != c) return false;
  text.remove_prefix(1);
  return true;
}

// ".25" → 250,000,000. Nothing when there is no fraction.
std::optional<int64_t> TakeFraction(absl::string_view& text) {
  if (!Take(text, '.')) return 0;
  int64_t nanos = 0;
  int64_t unit = kNanosPerSecond / 10;
  size_t digits = 0;
  for (; digits < text.size() && absl::ascii_isdigit(text[digits]); ++digits) {
    nanos += unit * (text[digits] - '0');
    unit /= 10;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return nanos;
}

// "Z" or "+02:00", in seconds east of UTC.
std::optional<int> TakeOffset(absl::string_view& text) {
  if (Take(text, 'Z')) return 0;
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return std::nullopt;
  const int sign = text.front() == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = TakeDigits(text, 2);
  if (!hours || *hours > 23 || !Take(text, ':')) return std::nullopt;
  const auto minutes = TakeDigits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::string FormatTimestamp(int64_t unix_ns) {
  int64_t seconds = unix_ns / kNanosPerSecond;
  int64_t nanos = unix_ns % kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    --seconds;
  }
  const absl::CivilSecond civil =
      absl::ToCivilSecond(absl::FromUnixSeconds(seconds), absl::UTCTimeZone());
  char text[64];
  int length = std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d",
                             static_cast<int>(civil.year()), civil.month(), civil.day(),
                             civil.hour(), civil.minute(), civil.second());
  std::string result(text, static_cast<size_t>(length));
  if (nanos != 0) {
    const int digits = nanos % kNanosPerMilli == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
    length = std::snprintf(text, sizeof(text), ".%09d", static_cast<int>(nanos));
    result.append(text, static_cast<size_t>(digits) + 1);
  }
  result.push_back('Z');
  return result;
}

std::optional<int64_t> ParseTimestamp(absl::string_view text) {
  const auto year = TakeDigits(text, 4);
  if (!year || !Take(text, '-')) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !Take(text, '-')) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day || !Take(text, 'T')) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || *hour > 23 || !Take(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *minute > 59 || !Take(text, ':')) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  if (!second || *second > 60) return std::nullopt;  // 60: a leap second is the next second's start
  const auto nanos = TakeFraction(text);
  if (!nanos) return std::nullopt;
  const auto offset = TakeOffset(text);
  if (!offset || !text.empty()) return std::nullopt;

  const absl::CivilDay date(*year, *month, *day);
  if (date.month() != *month || date.day() != *day) return std::nullopt;  // there is no such day
  const int64_t days = date - absl::CivilDay(1970, 1, 1);
  const int64_t seconds = days * 86'400 + *hour * 3600 + *minute * 60 + *second - *offset;
  const absl::Time time = absl::FromUnixSeconds(seconds) + absl::Nanoseconds(*nanos);
  if (time < absl::FromUnixNanos(std::numeric_limits<int64_t>::min()) ||
      time > absl::FromUnixNanos(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  return absl::ToUnixNanos(time);
}

std::optional<int64_t> TimestampFromMillis(int64_t unix_ms) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / kNanosPerMilli;
  if (unix_ms > kMax || unix_ms < -kMax) return std::nullopt;
  return unix_ms * kNanosPerMilli;
}

}  // namespace varpulis::transport
