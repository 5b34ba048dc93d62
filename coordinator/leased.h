#pragma once

#include <memory>

#include "coordinator/tenure.h"
#include "transport/bus.h"
#include "transport/record_log.h"

namespace varpulis::coordinator {

// What a leader does to the world goes through these two, and they let nothing pass once its lease
// has run out: a coordinator that was paused for a while says and writes nothing more, whatever it
// was about to do. Between the look at the clock and the wire is the lease's margin; what takes
// longer than that is refused by the state's stream and by the workers, by its epoch.

// A Bus that publishes and asks while `tenure` is valid, and answers until it has run out;
// afterwards UNAVAILABLE, and no answer at all: the requests that a paused process finds in its
// socket are its successor's.
// Thread-safe. Kept alive by the requests under way; `bus` must outlive it.
std::shared_ptr<transport::Bus> MakeLeasedBus(transport::Bus& bus,
                                              std::shared_ptr<const Tenure> tenure);

// A RecordLog that writes while `tenure` is valid; afterwards ABORTED.
std::unique_ptr<transport::RecordLog> MakeLeasedLog(std::unique_ptr<transport::RecordLog> log,
                                                    std::shared_ptr<const Tenure> tenure);

}  // namespace varpulis::coordinator
