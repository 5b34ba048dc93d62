#pragma once

#include "coordinator/cluster_state.h"
#include "coordinator/command.h"
#include "coordinator/step.h"

namespace varpulis::coordinator {

// A draining worker takes nothing new, and what it runs moves elsewhere, some at a time. When it is
// empty, and was asked to leave, its record goes. What cannot move stays, and is tried again with
// every tick.
void StartDrain(Step& step, const DrainWorker& command);
// Goes on with all of them: after every tick and every finished move.
void ContinueDrains(Step& step);
// True if `reply` waited for a drain: it is told how far that has come.
bool AnswerDrainNow(Step& step, ReplyToken reply);

}  // namespace varpulis::coordinator
