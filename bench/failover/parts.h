#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varpulis::bench {

// One line of the table: the figures of `name`, the largest beside its goal. False: above it.
bool Report(const std::string& name, std::vector<double> ms, double goal_ms);
// Ends the program when something did not work at all.
void Must(bool worked, const std::string& what);

// Each measures with real processes and prints its lines; false when a goal is missed.

// A group of 1,000 pipelines on 4 workers, from the request until all run.
bool MeasureDeploys();
// A coordinator of 10,000 pipelines, from its start until it lists their groups.
bool MeasureRestart();
// Live migrations: the longest silence of the pipeline's outputs, with 100 MB of state and with
// little, in both delivery modes.
bool MeasureMigrations();
// Leaders that are stopped beyond their lease and go on: what they still write (must be nothing).
bool BreakLeases(uint32_t times);
// Ten pipelines under as many events as they take: how many were moved, or lost events (must be
// none).
bool StayPut(double minutes);

}  // namespace varpulis::bench
