#pragma once

#include "coordinator/command.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// Who belongs to the cluster: register, heartbeat, leave.
void Register(Step& step, const RegisterWorker& command);
void FinishIncumbentCheck(Step& step, const IncumbentChecked& command);
void Heartbeat(Step& step, const ReceiveHeartbeat& command);
void Pinged(Step& step, const PingAnswered& command);
void Deregister(Step& step, const DeleteWorker& command);

}  // namespace varpulis::coordinator
