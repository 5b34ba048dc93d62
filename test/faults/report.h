#pragma once

#include <map>
#include <string>
#include <vector>

#include "test/faults/trial.h"

namespace varpulis::faults {

// One line for each fault, in the order in which they first came.
class Report {
 public:
  void Add(const std::string& row, const TrialOptions& options, const TrialResult& result);
  void AddSkipped(const std::string& row, const std::string& why);
  void Print() const;
  bool passed() const { return failures_.empty(); }

 private:
  struct Row {
    int runs = 0, failed = 0;
    int64_t events = 0, lost = 0, doubled = 0;
    std::vector<double> outages_ms;
    std::string skipped;
  };
  Row& RowOf(const std::string& name);

  std::vector<std::string> order_;
  std::map<std::string, Row> rows_;
  std::vector<std::string> failures_;
};

}  // namespace varpulis::faults
