#include "cli/simulate/options.h"

#include "absl/strings/str_cat.h"

#include "engine/io/event_line.h"
#include "engine/runtime/text.h"

namespace varpulis::cli {
namespace {

constexpr uint32_t kMaxWorkers = 256;

bool ParseBase(const std::string& text, int64_t* ns) {
  constexpr int64_t kMillisecond = 1'000'000;
  int64_t milliseconds = 0;
  const bool parsed = engine::ParseInt(text, &milliseconds)
                          ? !__builtin_mul_overflow(milliseconds, kMillisecond, ns)
                          : engine::ParseTimestamp(text, ns);
  return parsed && *ns <= engine::EventLineReader::kMaxBase &&
         *ns >= -engine::EventLineReader::kMaxBase;
}

}  // namespace

absl::Status ValidateOptions(const SimulateOptions& options, int64_t* base_ns) {
  if (options.output != "jsonl") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown output `", options.output, "`: use jsonl"));
  }
  if (options.workers == 0 || options.workers > kMaxWorkers) {
    return absl::InvalidArgumentError(absl::StrCat("--workers must be 1 to ", kMaxWorkers));
  }
  if (!ParseBase(options.base, base_ns)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--base `", options.base,
                     "` is neither a time such as 2026-01-01T00:00:00Z nor a number of "
                     "milliseconds since the epoch"));
  }
  return absl::OkStatus();
}

}  // namespace varpulis::cli
