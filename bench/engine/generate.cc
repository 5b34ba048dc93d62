// Writes the event files of bench/engine, the same on every machine.
//
//   engine_events trades COUNT      @<i>ms Trade { symbol, price, quantity }: 1,000 symbols
//   engine_events orders COUNT      Buy and Sell in turns, a Sell with the key of an earlier Buy
//   engine_events keys COUNT        Seen { key, size }: every key once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

uint64_t state = 1;
unsigned long long Next(uint64_t below) {
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (state >> 33) % below;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 3 ? argv[1] : "";
  const long count = argc == 3 ? std::atol(argv[2]) : 0;
  if (count <= 0 || (what != "trades" && what != "orders" && what != "keys")) {
    std::fprintf(stderr, "usage: engine_events trades|orders|keys COUNT\n");
    return 2;
  }
  for (long i = 0; i < count; ++i) {
    const unsigned long long a = Next(1000), b = Next(10000), c = Next(100);
    if (what == "trades") {
      std::printf("@%ldms Trade { symbol: \"S%llu\", price: %llu.%02llu, quantity: %llu }\n", i, a,
                  b / 100 + 50, b % 100, c + 1);
    } else if (what == "orders") {
      const long order = i / 2 - (i % 2 == 0 ? 0 : static_cast<long>(Next(200)));
      std::printf("@%ldms %s { order: %ld, price: %llu.%02llu }\n", i, i % 2 == 0 ? "Buy" : "Sell",
                  order, b / 100 + 50, b % 100);
    } else {
      std::printf("Seen { key: \"k%ld\", size: %llu }\n", i, c);
    }
  }
  return 0;
}
