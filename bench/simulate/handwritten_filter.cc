// The yardstick: what a person would write for one known filter over one known file, without any
// engine. Reads `Reading { sensor: "s17", zone: "a", temperature: 81.25, humidity: 40 }` lines and
// counts those with temperature > 80 and zone == "a".
//
//   handwritten_filter FILE

#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

namespace {

constexpr size_t kChunk = 256 << 10;

struct Counts {
  long events = 0;
  long passed = 0;
};

// One line, `end` at its newline. False when it is no Reading.
bool ParseAndTest(const char* at, const char* end, bool* passes) {
  constexpr char kStart[] = "Reading { sensor: \"";
  constexpr char kZone[] = "\", zone: \"";
  constexpr char kTemperature[] = "\", temperature: ";
  constexpr char kHumidity[] = ", humidity: ";
  const auto skip = [&](const char* text, size_t length) {
    if (static_cast<size_t>(end - at) < length || std::memcmp(at, text, length) != 0) return false;
    at += length;
    return true;
  };
  const auto quoted = [&](const char** begin, size_t* length) {
    *begin = at;
    while (at < end && *at != '"') ++at;
    *length = static_cast<size_t>(at - *begin);
  };
  const auto number = [&] {
    long digits = 0;
    double scale = 1;
    const bool negative = at < end && *at == '-';
    if (negative) ++at;
    for (; at < end && *at >= '0' && *at <= '9'; ++at) digits = digits * 10 + (*at - '0');
    if (at < end && *at == '.') {
      for (++at; at < end && *at >= '0' && *at <= '9'; ++at, scale *= 10) {
        digits = digits * 10 + (*at - '0');
      }
    }
    const double value = static_cast<double>(digits) / scale;
    return negative ? -value : value;
  };
  const char *sensor, *zone;
  size_t sensor_length, zone_length;
  if (!skip(kStart, sizeof(kStart) - 1)) return false;
  quoted(&sensor, &sensor_length);
  if (!skip(kZone, sizeof(kZone) - 1)) return false;
  quoted(&zone, &zone_length);
  if (!skip(kTemperature, sizeof(kTemperature) - 1)) return false;
  const double temperature = number();
  if (!skip(kHumidity, sizeof(kHumidity) - 1)) return false;
  const double humidity = number();
  (void)humidity;
  if (end - at != 2 || at[0] != ' ' || at[1] != '}') return false;
  *passes = temperature > 80 && zone_length == 1 && *zone == 'a';
  return true;
}

Counts Run(int fd) {
  Counts counts;
  const auto buffer = std::make_unique<char[]>(2 * kChunk);
  size_t held = 0;
  while (true) {
    const ssize_t got = read(fd, buffer.get() + held, kChunk);
    if (got <= 0) break;
    const char* at = buffer.get();
    const char* end = at + held + got;
    while (const void* newline = std::memchr(at, '\n', static_cast<size_t>(end - at))) {
      bool passes = false;
      if (ParseAndTest(at, static_cast<const char*>(newline), &passes)) {
        ++counts.events;
        counts.passed += passes ? 1 : 0;
      }
      at = static_cast<const char*>(newline) + 1;
    }
    held = static_cast<size_t>(end - at);
    std::memmove(buffer.get(), at, held);
  }
  return counts;
}

}  // namespace

int main(int argc, char** argv) {
  const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd < 0) {
    std::fprintf(stderr, "usage: handwritten_filter FILE\n");
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  const Counts counts = Run(fd);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "events: %ld, outputs: %ld, seconds: %.3f, events/s: %.0f\n", counts.events,
               counts.passed, seconds.count(),
               static_cast<double>(counts.events) / seconds.count());
  return 0;
}
