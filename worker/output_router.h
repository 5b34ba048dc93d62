#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/columns_writer.h"
#include "engine/runtime/event.h"
#include "proto/event.pb.h"
#include "transport/bus.h"
#include "worker/event_routes.h"
#include "worker/outputs.h"

namespace varpulis::worker {

// Publishes the outputs of one pipeline: once per distinct subject of the routes that match an
// event's type, or on the fallback subject when none does. Lives on its runner's strand.
//
// Outputs are collected until Flush, or until a batch is large enough. Where columns are wanted,
// several events go in columns; one alone, and all elsewhere, in the row form.
//
// What cannot be published (no broker, event above max_payload) is counted and gone: the delivery
// of this mode is at most once. Batches are numbered per subject, lost ones too, so that receivers
// can see the gap.
class OutputRouter : public Outputs {
 public:
  struct Options {
    std::vector<EventRoute> routes;
    std::string fallback_subject;
    bool fallback_columns = false;
    uint64_t placement_epoch = 0;
    uint32_t replica = 0;
  };

  OutputRouter(Options options, transport::Bus& bus);

  // The hops of one batch are the same, so a change publishes what has been collected.
  void BeginInput(uint32_t hops, uint64_t position) override;
  void Add(const engine::OutputEvent& output) override;
  // A batch ends here: nothing that is added later gets into it.
  void Flush() override;

  bool empty() const override { return collected_ == 0; }
  uint64_t TakeLost() override { return std::exchange(lost_, 0); }
  void WhenStored(std::function<void(absl::Status)> done) override { done(absl::OkStatus()); }
  void Abandon() override {}

 private:
  struct Target {
    Target(std::string name, bool takes_columns) : subject(std::move(name)) {
      if (takes_columns) columns = std::make_unique<engine::ColumnsWriter>();
    }
    std::string subject;
    uint64_t sequence = 0;
    varpulis::v1::EventBatch rows;  // with columns: the first event
    size_t row_bytes = 0;
    std::unique_ptr<engine::ColumnsWriter> columns;  // null: not wanted
  };

  void AddTo(Target& target, const engine::OutputEvent& output);
  void AddRow(Target& target, varpulis::v1::Event* event);
  void FlushTarget(Target& target);
  void FlushColumns(Target& target);
  void FlushRows(Target& target);
  void Send(Target& target, varpulis::v1::EventBatch& batch, uint64_t events);

  EventRoutes routes_;
  std::vector<Target> targets_;  // by index of routes_.subjects(), then the fallback
  const uint64_t placement_epoch_;
  const uint32_t replica_;
  transport::Bus& bus_;
  uint32_t hops_ = 1;
  uint64_t collected_ = 0;  // events, for each target
  uint64_t lost_ = 0;
  varpulis::v1::Event row_;
  varpulis::v1::EventBatch column_batch_;
};

}  // namespace varpulis::worker
