#include "test/faults/report.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace varpulis::faults {
namespace {

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * values.size()))];
}

}  // namespace

Report::Row& Report::RowOf(const std::string& name) {
  const auto [row, added] = rows_.try_emplace(name);
  if (added) order_.push_back(name);
  return row->second;
}

void Report::Add(const std::string& name, const TrialOptions& options, const TrialResult& result) {
  Row& row = RowOf(name);
  ++row.runs;
  row.events += options.load.events;
  row.lost += result.comparison.lost;
  row.doubled += result.comparison.doubled;
  if (result.status.ok()) row.outages_ms.push_back(absl::ToDoubleMilliseconds(result.outage));
  if (result.status.ok() && result.verdict.empty()) return;
  ++row.failed;
  failures_.push_back(absl::StrCat(
      name, ", run ", row.runs, ": ",
      result.status.ok() ? result.verdict : std::string(result.status.message()),
      "\n    struck worker-", options.victim, " after ", absl::StrFormat("%.3f", options.strike_at),
      " of the events; logs in ", result.logs));
}

void Report::AddSkipped(const std::string& name, const std::string& why) {
  RowOf(name).skipped = why;
}

void Report::Print() const {
  absl::PrintF("%-28s %5s %9s  %-26s %6s %8s  %s\n", "fault", "runs", "events",
               "outage ms: p50/p99/max", "lost", "doubled", "verdict");
  for (const std::string& name : order_) {
    const Row& row = rows_.at(name);
    if (!row.skipped.empty()) {
      absl::PrintF("%-28s %5d %9s  %-26s %6s %8s  skipped: %s\n", name, 0, "-", "-", "-", "-",
                   row.skipped);
      continue;
    }
    const std::string outage =
        absl::StrFormat("%.0f / %.0f / %.0f", Quantile(row.outages_ms, 0.5),
                        Quantile(row.outages_ms, 0.99), Quantile(row.outages_ms, 1));
    absl::PrintF("%-28s %5d %9d  %-26s %6d %8d  %s\n", name, row.runs, row.events, outage, row.lost,
                 row.doubled, row.failed == 0 ? "ok" : absl::StrFormat("%d FAILED", row.failed));
  }
  for (const std::string& failure : failures_) absl::PrintF("FAILED %s\n", failure);
  std::fflush(stdout);
}

}  // namespace varpulis::faults
