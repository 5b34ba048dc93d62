#pragma once

#include <chrono>

namespace varpulis::cli {

// SIGINT and SIGTERM ask a simulation to end with its summary; a second one ends the process at
// once. State of the process; one thread waits.
class Interrupt {
 public:
  static void Install();
  // The signal that came, 0 for none.
  static int Signal();
  // Each false when a signal came, before or meanwhile.
  static bool WaitUntil(std::chrono::steady_clock::time_point due);
  static bool WaitReadable(int fd);
};

}  // namespace varpulis::cli
