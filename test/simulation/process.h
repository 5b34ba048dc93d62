#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "absl/time/time.h"

#include "scheduler.h"

namespace varpulis::simulation {

// A process of the cluster: it lives, is frozen (SIGSTOP), cut off from the broker, or dead, and
// has clocks of its own. What was meant for one life of it never reaches the next.
class Process {
 public:
  Process(Scheduler& scheduler, std::string name) : scheduler_(scheduler), name_(std::move(name)) {}
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& name() const { return name_; }
  bool up() const { return up_; }
  bool frozen() const { return frozen_; }
  bool connected() const { return connected_; }
  bool listens() const { return up_ && connected_; }
  uint64_t life() const { return life_; }

  // CLOCK_MONOTONIC and CLOCK_BOOTTIME: differences only. They part when the machine sleeps.
  absl::Time Steady() const { return scheduler_.now() + steady_ahead_; }
  absl::Time Boot() const { return scheduler_.now() + boot_ahead_; }
  void JumpClocks(absl::Duration steady, absl::Duration boot) {
    steady_ahead_ += steady;
    boot_ahead_ += boot;
  }

  // When it was last started, frozen, thawed, cut off or connected again.
  absl::Time last_trouble() const { return last_trouble_; }

  void Start() {
    up_ = true;
    ++life_;
    last_trouble_ = scheduler_.now();
    OnStart();
  }
  void Crash() {
    up_ = false;
    frozen_ = false;
    waiting_.clear();
    OnCrash();
  }
  void Freeze() {
    frozen_ = true;
    last_trouble_ = scheduler_.now();
  }
  void Thaw() {
    frozen_ = false;
    last_trouble_ = scheduler_.now();
    std::deque<std::function<void()>> waiting;
    waiting.swap(waiting_);
    for (auto& task : waiting) Run(life_, std::move(task));
  }
  void SetConnected(bool connected) {
    if (std::exchange(connected_, connected) == connected) return;
    last_trouble_ = scheduler_.now();
    if (!up_) return;
    Run(life_, [this, connected] { OnConnection(connected); });
  }

  // `task` is done by that life: now, when it thaws, or never.
  void Run(uint64_t life, std::function<void()> task) {
    if (!up_ || life != life_) return;
    if (frozen_) {
      waiting_.push_back(std::move(task));
    } else {
      task();
    }
  }
  void After(absl::Duration delay, std::function<void()> task) {
    scheduler_.After(delay, [this, life = life_, task = std::move(task)]() mutable {
      Run(life, std::move(task));
    });
  }

  absl::Time last_arrival;  // at the broker, of what is sent in order

 protected:
  virtual void OnStart() = 0;
  virtual void OnCrash() = 0;
  virtual void OnConnection(bool connected) = 0;

  Scheduler& scheduler_;

 private:
  const std::string name_;
  bool up_ = false;
  bool frozen_ = false;
  bool connected_ = true;
  uint64_t life_ = 0;
  absl::Time last_trouble_;
  absl::Duration steady_ahead_, boot_ahead_;
  std::deque<std::function<void()>> waiting_;
};

}  // namespace varpulis::simulation
