#include "engine/runtime/text.h"

#include <charconv>
#include <cmath>

namespace varpulis::engine {
namespace {

// Decodes the character at `offset`; 0xFFFFFFFF for an invalid byte (length 1).
uint32_t Decode(std::string_view text, size_t offset, size_t* length) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[offset + i]); };
  const unsigned char first = byte(0);
  *length = 1;
  if (first < 0x80) return first;
  const size_t wanted = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 1;
  if (wanted == 1 || first > 0xF4 || offset + wanted > text.size()) return 0xFFFFFFFF;
  uint32_t code = first & (0x7Fu >> wanted);
  for (size_t i = 1; i < wanted; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0xFFFFFFFF;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  *length = wanted;
  return code;
}

void Encode(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xE0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool InRange(uint32_t code, uint32_t low, uint32_t high) { return code >= low && code <= high; }

// Blocks where upper case is even and lower case the next odd code, or the other way round.
bool EvenUpper(uint32_t code) {
  return InRange(code, 0x100, 0x137) || InRange(code, 0x14A, 0x177) ||
         InRange(code, 0x460, 0x481) || InRange(code, 0x48A, 0x4BF) ||
         InRange(code, 0x4D0, 0x52F) || InRange(code, 0x1E00, 0x1E95) ||
         InRange(code, 0x1EA0, 0x1EFF);
}
bool OddUpper(uint32_t code) { return InRange(code, 0x139, 0x148) || InRange(code, 0x179, 0x17E); }

uint32_t LowerOf(uint32_t code) {
  if (InRange(code, 'A', 'Z')) return code + 32;
  if (code < 0xC0) return code;
  if (InRange(code, 0xC0, 0xDE) && code != 0xD7) return code + 32;
  if (code == 0x130 || code == 0x131) return code == 0x130 ? 'i' : code;
  if (code == 0x178) return 0xFF;
  if (EvenUpper(code)) return code | 1;
  if (OddUpper(code)) return (code & 1) != 0 ? code + 1 : code;
  if (InRange(code, 0x391, 0x3AB) && code != 0x3A2) return code + 32;
  if (code == 0x386) return 0x3AC;
  if (InRange(code, 0x388, 0x38A)) return code + 37;
  if (InRange(code, 0x400, 0x40F)) return code + 80;
  if (InRange(code, 0x410, 0x42F)) return code + 32;
  if (InRange(code, 0x531, 0x556)) return code + 48;
  return code;
}

uint32_t UpperOf(uint32_t code) {
  if (InRange(code, 'a', 'z')) return code - 32;
  if (code < 0xB5) return code;
  if (code == 0xB5) return 0x39C;
  if (InRange(code, 0xE0, 0xFE) && code != 0xF7) return code - 32;
  if (code == 0xFF) return 0x178;
  if (code == 0x130 || code == 0x131) return code == 0x131 ? 'I' : code;
  if (EvenUpper(code)) return code & ~1u;
  if (OddUpper(code)) return (code & 1) != 0 ? code : code - 1;
  if (code == 0x3C2) return 0x3A3;
  if (InRange(code, 0x3B1, 0x3CB)) return code - 32;
  if (code == 0x3AC) return 0x386;
  if (InRange(code, 0x3AD, 0x3AF)) return code - 37;
  if (InRange(code, 0x450, 0x45F)) return code - 80;
  if (InRange(code, 0x430, 0x44F)) return code - 32;
  if (InRange(code, 0x561, 0x586)) return code - 48;
  return code;
}

template <typename Map>
std::string MapCharacters(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    const uint32_t code = Decode(text, i, &length);
    if (code == 0xFFFFFFFF || code > 0xFFFF) {
      out.append(text.substr(i, length));
    } else {
      map(code, &out);
    }
    i += length;
  }
  return out;
}

bool IsSpace(uint32_t code) {
  return InRange(code, 9, 13) || code == 32 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         InRange(code, 0x2000, 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

// Days since 1970-01-01 of a civil date, and back (proleptic Gregorian calendar).
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}
void CivilFromDays(int64_t days, int64_t* year, int64_t* month, int64_t* day) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  *day = day_of_year - (153 * shifted + 2) / 5 + 1;
  *month = shifted + (shifted < 10 ? 3 : -9);
  *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

void AppendPadded(int64_t value, int width, std::string* out) {
  char digits[20];
  for (int i = width - 1; i >= 0; --i, value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out->append(digits, static_cast<size_t>(width));
}

}  // namespace

size_t CharacterLength(std::string_view text, size_t offset) {
  size_t length = 1;
  Decode(text, offset, &length);
  return length;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) i += CharacterLength(text, i);
  return count;
}

size_t OffsetOfCharacter(std::string_view text, size_t index) {
  size_t offset = 0;
  while (index-- > 0 && offset < text.size()) offset += CharacterLength(text, offset);
  return offset;
}

std::string_view CutAtCharacter(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

std::string ToLower(std::string_view text) {
  return MapCharacters(text, [](uint32_t code, std::string* out) { Encode(LowerOf(code), out); });
}

std::string ToUpper(std::string_view text) {
  return MapCharacters(text, [](uint32_t code, std::string* out) {
    if (code == 0xDF) {
      *out += "SS";
    } else {
      Encode(UpperOf(code), out);
    }
  });
}

std::string_view Trim(std::string_view text) {
  size_t begin = 0;
  size_t end = 0;  // one past the last character that is no space
  bool started = false;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    const bool space = IsSpace(Decode(text, i, &length));
    if (!space && !started) begin = i;
    started = started || !space;
    i += length;
    if (!space) end = i;
  }
  return started ? text.substr(begin, end - begin) : text.substr(0, 0);
}

void AppendFloatDisplay(double value, std::string* out) {
  if (std::isnan(value)) {
    *out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    *out += value < 0 ? "-inf" : "inf";
    return;
  }
  char buffer[400];  // 1.8e308 in digits, and 5e-324 as well
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  if (end.ec == std::errc()) {
    out->append(buffer, static_cast<size_t>(end.ptr - buffer));
    return;
  }
  const auto shortest = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out->append(buffer, static_cast<size_t>(shortest.ptr - buffer));
}

bool ParseInt(std::string_view text, int64_t* value) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty();
}

bool ParseFloat(std::string_view text, double* value) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (parsed.ptr != text.data() + text.size() || text.empty()) return false;
  if (parsed.ec == std::errc::result_out_of_range) {
    // from_chars leaves the value alone; strtod says whether it is too large or too small.
    *value = std::strtod(std::string(text).c_str(), nullptr);
    return true;
  }
  return parsed.ec == std::errc();
}

void AppendTimestamp(int64_t ns, bool with_fraction, std::string* out) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = ns / kSecond;
  int64_t fraction = ns % kSecond;
  if (fraction < 0) {
    fraction += kSecond;
    --seconds;
  }
  int64_t days = seconds / 86400;
  int64_t of_day = seconds % 86400;
  if (of_day < 0) {
    of_day += 86400;
    --days;
  }
  int64_t year = 0, month = 0, day = 0;
  CivilFromDays(days, &year, &month, &day);
  AppendPadded(year, 4, out);
  *out += '-';
  AppendPadded(month, 2, out);
  *out += '-';
  AppendPadded(day, 2, out);
  *out += 'T';
  AppendPadded(of_day / 3600, 2, out);
  *out += ':';
  AppendPadded(of_day / 60 % 60, 2, out);
  *out += ':';
  AppendPadded(of_day % 60, 2, out);
  if (with_fraction && fraction != 0) {
    *out += '.';
    if (fraction % 1'000'000 == 0) {
      AppendPadded(fraction / 1'000'000, 3, out);
    } else if (fraction % 1000 == 0) {
      AppendPadded(fraction / 1000, 6, out);
    } else {
      AppendPadded(fraction, 9, out);
    }
  }
  *out += 'Z';
}

bool ParseTimestamp(std::string_view text, int64_t* ns) {
  size_t at = 0;
  const auto digits = [&](int width, int64_t* value) {
    *value = 0;
    for (int i = 0; i < width; ++i, ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') return false;
      *value = *value * 10 + (text[at] - '0');
    }
    return true;
  };
  const auto symbol = [&](std::string_view any) {
    if (at >= text.size() || any.find(text[at]) == std::string_view::npos) return false;
    ++at;
    return true;
  };
  int64_t year, month, day, hour = 0, minute = 0, second = 0, fraction = 0, offset = 0;
  if (!digits(4, &year) || !symbol("-") || !digits(2, &month) || !symbol("-") || !digits(2, &day)) {
    return false;
  }
  if (at < text.size()) {
    if (!symbol("Tt ") || !digits(2, &hour) || !symbol(":") || !digits(2, &minute) ||
        !symbol(":") || !digits(2, &second)) {
      return false;
    }
    if (symbol(".")) {
      int64_t scale = 100'000'000;
      const size_t begin = at;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
        fraction += (text[at] - '0') * scale;
      }
      if (at == begin) return false;
    }
    if (at < text.size() && !symbol("Zz")) {
      const bool negative = text[at] == '-';
      int64_t zone_hour = 0, zone_minute = 0;
      if (!symbol("+-") || !digits(2, &zone_hour) || !symbol(":") || !digits(2, &zone_minute) ||
          zone_hour > 23 || zone_minute > 59) {
        return false;
      }
      offset = (zone_hour * 3600 + zone_minute * 60) * (negative ? -1 : 1);
    }
  }
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (at != text.size() || month < 1 || month > 12 || day < 1 ||
      day > kDays[month - 1] + (leap && month == 2 ? 1 : 0) || hour > 23 || minute > 59 ||
      second > 60) {
    return false;
  }
  const int64_t seconds =
      DaysFromCivil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return !__builtin_mul_overflow(seconds, int64_t{1'000'000'000}, ns) &&
         !__builtin_add_overflow(*ns, fraction, ns);
}

}  // namespace varpulis::engine
