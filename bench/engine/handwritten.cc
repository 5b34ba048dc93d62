// The yardsticks: what a person would write for one known query over one known file, without an
// engine and with the data structures that suit it.
//
//   engine_handwritten count|filter|sliding|join FILE [WINDOW_MS]      engine_handwritten
//   mandelbrot

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

#include "bench/engine/line_scanner.h"

namespace {

struct Result {
  long events = 0;
  long outputs = 0;
  double check = 0;  // so that nothing is left out as unused
};

struct Trade {
  long time = 0;
  std::string_view symbol;
  double price = 0;
  long quantity = 0;
};

bool ReadTrade(bench::Scanner line, Trade* trade) {
  if (!line.Skip("@")) return false;
  trade->time = line.Whole();
  if (!line.Skip("ms Trade { symbol: \"")) return false;
  trade->symbol = line.Quoted();
  if (!line.Skip("\", price: ")) return false;
  trade->price = line.Number();
  if (!line.Skip(", quantity: ")) return false;
  trade->quantity = line.Whole();
  return line.Skip(" }");
}

// Windows of 100 trades per symbol: count, sum of quantities, largest price.
Result Count(const char* path) {
  struct Window {
    int count = 0;
    double total = 0;
    double top = 0;
  };
  absl::flat_hash_map<std::string, Window> windows;
  Result result;
  bench::ForEachLine(path, [&](bench::Scanner line) {
    Trade trade;
    if (!ReadTrade(line, &trade)) return;
    ++result.events;
    Window& window = windows[absl::string_view(trade.symbol.data(), trade.symbol.size())];
    window.top = window.count == 0 ? trade.price : std::max(window.top, trade.price);
    window.total += static_cast<double>(trade.quantity);
    if (++window.count < 100) return;
    ++result.outputs;
    result.check += window.total + window.top;
    window = Window();
  });
  return result;
}

// One of fifty filters: prices above 125 and quantities above 25.
Result Filter(const char* path) {
  Result result;
  bench::ForEachLine(path, [&](bench::Scanner line) {
    Trade trade;
    if (!ReadTrade(line, &trade)) return;
    ++result.events;
    if (!(trade.price > 125 && trade.quantity > 25)) return;
    ++result.outputs;
    result.check += trade.price + static_cast<double>(trade.symbol.size());
  });
  return result;
}

// Sum, average, standard deviation, least and largest price of the last `length` ms, every second.
Result Sliding(const char* path, long length) {
  std::deque<std::pair<long, double>> events, low, high;
  double sum = 0, squares = 0;
  long last_fire = 0;
  bool fired = false;
  Result result;
  bench::ForEachLine(path, [&](bench::Scanner line) {
    Trade trade;
    if (!ReadTrade(line, &trade)) return;
    ++result.events;
    events.emplace_back(trade.time, trade.price);
    sum += trade.price;
    squares += trade.price * trade.price;
    while (!low.empty() && low.back().second >= trade.price) low.pop_back();
    low.emplace_back(trade.time, trade.price);
    while (!high.empty() && high.back().second <= trade.price) high.pop_back();
    high.emplace_back(trade.time, trade.price);
    while (events.front().first < trade.time - length) {
      sum -= events.front().second;
      squares -= events.front().second * events.front().second;
      events.pop_front();
    }
    while (low.front().first < trade.time - length) low.pop_front();
    while (high.front().first < trade.time - length) high.pop_front();
    if (fired && trade.time < last_fire + 1000) return;
    fired = true;
    last_fire = trade.time;
    ++result.outputs;
    const auto count = static_cast<double>(events.size());
    const double mean = sum / count;
    result.check += sum + mean + std::sqrt(std::max(0.0, squares / count - mean * mean)) +
                    low.front().second + high.front().second;
  });
  return result;
}

// Each order's Buy and Sell with the latest of the other side within `length` ms.
Result Join(const char* path, long length) {
  struct Side {
    long time = -1;
    double price = 0;
  };
  struct Order {
    Side side[2];
  };
  absl::flat_hash_map<long, Order> orders;
  std::deque<std::pair<long, long>> ages;
  Result result;
  bench::ForEachLine(path, [&](bench::Scanner line) {
    if (!line.Skip("@")) return;
    const long time = line.Whole();
    if (!line.Skip("ms ")) return;
    const int own = line.Skip("Buy { order: ") ? 0 : line.Skip("Sell { order: ") ? 1 : -1;
    if (own < 0) return;
    const long key = line.Whole();
    if (!line.Skip(", price: ")) return;
    const double price = line.Number();
    if (!line.Skip(" }")) return;
    ++result.events;
    auto [found, added] = orders.try_emplace(key);
    if (added) ages.emplace_back(time, key);
    Order& order = found->second;
    order.side[own] = {time, price};
    const Side& other = order.side[1 - own];
    if (other.time >= 0 && other.time >= time - length) {
      ++result.outputs;
      result.check += order.side[0].price - order.side[1].price;
    }
    while (ages.front().first < time - 2 * length) {
      orders.erase(ages.front().second);
      ages.pop_front();
    }
  });
  return result;
}

// Turns of the inner loop for a 250 × 250 tile of at most 1,000 turns a pixel.
__attribute__((noinline)) int Iterations(double cx, double cy, int limit) {
  double x = 0, y = 0;
  int i = 0;
  while (x * x + y * y <= 4.0 && i < limit) {
    const double t = x * x - y * y + cx;
    y = 2.0 * x * y + cy;
    x = t;
    ++i;
  }
  return i;
}

Result Mandelbrot() {
  constexpr int kSize = 250;
  Result result;
  for (int py = 0; py < kSize; ++py) {
    for (int px = 0; px < kSize; ++px) {
      result.events += Iterations(-2.0 + 3.0 * px / kSize, -1.5 + 3.0 * py / kSize, 1000);
    }
  }
  result.outputs = 1;
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const long length = argc > 3 ? std::atol(argv[3]) : 10'000;
  Result result;
  const auto start = std::chrono::steady_clock::now();
  if (what == "count" && argc > 2) {
    result = Count(argv[2]);
  } else if (what == "filter" && argc > 2) {
    result = Filter(argv[2]);
  } else if (what == "sliding" && argc > 2) {
    result = Sliding(argv[2], length);
  } else if (what == "join" && argc > 2) {
    result = Join(argv[2], length);
  } else if (what == "mandelbrot") {
    result = Mandelbrot();
  }
  if (result.events == 0) {
    std::fprintf(stderr, "usage: engine_handwritten count|filter|sliding|join FILE [WINDOW_MS]\n");
    return 2;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "events: %ld, outputs: %ld, seconds: %.3f, check: %g\n", result.events,
               result.outputs, seconds.count(), result.check);
  return 0;
}
