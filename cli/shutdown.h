#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace varpulis::cli {

// SIGINT and SIGTERM are blocked in every thread and taken by WaitForShutdown, so that no handler
// runs in the middle of anything. Call before the first thread starts; children started afterwards
// must unblock them (ChildProcess does).
void BlockShutdownSignals();

// Returns when SIGINT or SIGTERM arrives, or when RequestShutdown was called, with that call's
// status. A second signal during the shutdown that follows ends the process at once.
absl::Status WaitForShutdown();

// The same in two steps, for what may take a while in between: signals that come there do nothing,
// but SleepUnlessShutdown takes one.
absl::Status WaitForShutdownRequest();
void LetNextSignalEnd();

// Waits for `duration`; true when SIGINT or SIGTERM arrived meanwhile.
bool SleepUnlessShutdown(absl::Duration duration);

// Makes WaitForShutdown return `reason`. Thread-safe; the first reason wins.
void RequestShutdown(absl::Status reason);

}  // namespace varpulis::cli
