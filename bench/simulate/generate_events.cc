// Writes the file that bench/simulate reads: COUNT readings, the same on every machine.
//
//   generate_events COUNT > FILE

#include <cstdint>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const long count = argc == 2 ? std::atol(argv[1]) : 0;
  if (count <= 0) {
    std::fprintf(stderr, "usage: generate_events COUNT\n");
    return 2;
  }
  uint64_t state = 1;
  const auto next = [&state](uint64_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
  };
  for (long i = 0; i < count; ++i) {
    const uint64_t sensor = next(500), zone = next(4), hundredths = next(10000),
                   humidity = next(100);
    std::printf(
        "Reading { sensor: \"s%llu\", zone: \"%c\", temperature: %llu.%02llu, humidity: %llu }\n",
        static_cast<unsigned long long>(sensor), static_cast<char>('a' + zone),
        static_cast<unsigned long long>(hundredths) / 100 + 5,
        static_cast<unsigned long long>(hundredths) % 100,
        static_cast<unsigned long long>(humidity));
  }
  return 0;
}
