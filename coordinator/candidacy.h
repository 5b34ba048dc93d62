#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/mutex.h"
#include "base/strand.h"
#include "coordinator/coordinator.h"
#include "coordinator/election.h"
#include "transport/key_value.h"
#include "transport/record_log.h"

namespace varpulis::coordinator {

// A coordinator among several: a follower until it is elected, then leader for one Runtime's life,
// then a follower again. Whatever ends an office, the process stays. While it follows it keeps a
// copy of the leader's records, so that it need not read them when it is elected.
//
//   election ── elected(tenure) ──▶ strand: new Runtime(tenure) ── Start ──▶ serves
//            ── lost ─────────────▶ strand: Runtime retired
//            ◀── resign ─────────── strand ◀── stood down, could not begin
//            ── following(holder) ▶ strand: a log that follows, for the next Runtime
//
// The constructor, Settle and the destructor belong to the owner's thread and the last two block;
// the rest is thread-safe.
class Candidacy {
 public:
  Candidacy(CoordinatorOptions options, Coordinator::Deps deps,
            std::unique_ptr<transport::KeyValue> bucket);
  // Ends an office in peace and hands the lease over.
  ~Candidacy();

  // Returns when this coordinator serves, or when another is seen to hold the lease and renew it.
  // An error if it was elected and cannot serve, or if neither happens in time.
  absl::Status Settle();

  uint64_t leader_epoch() const;  // 0: does not lead

 private:
  // ---- on the strand
  void BeginOffice(std::shared_ptr<const Tenure> tenure);
  void EndOffice(const absl::Status& why);
  void OnStarted(uint64_t office, const absl::Status& status);
  void OnStoodDown(uint64_t office, const absl::Status& why);
  void Follow();
  void OnLogOpened(absl::StatusOr<std::unique_ptr<transport::RecordLog>> log);
  void Settled(absl::Status status);
  std::shared_ptr<Runtime> TakeRuntime();

  const CoordinatorOptions options_;
  const Coordinator::Deps deps_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<absl::Status> settled_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Runtime> runtime_ ABSL_GUARDED_BY(mutex_);  // null: follows

  // On the strand only.
  uint64_t office_ = 0;  // what comes from an earlier one is ignored
  std::shared_ptr<const Tenure> tenure_;
  bool in_office_ = false;
  bool closing_ = false;
  std::unique_ptr<transport::RecordLog> followed_;  // null: in office, or the broker gives none
  bool opening_followed_ = false;

  Strand retired_;  // destroys runtimes, which takes a while
  Strand opener_;   // opens logs to follow, which may block
  const std::shared_ptr<Strand> strand_;
  std::unique_ptr<Election> election_;
};

}  // namespace varpulis::coordinator
