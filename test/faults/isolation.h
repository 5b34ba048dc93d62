#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// What only root may do. Everything here goes with the process, also when that is killed.
namespace varpulis::faults {

// Runs a command without a shell; an error when it fails.
absl::Status Run(const std::string& command_line);

// To be called before the first thread is made: mounts of this process are its own from now on.
// PERMISSION_DENIED: this is not permitted here.
absl::Status SeparateMounts();

// A file system in memory, so large and no larger, while it lives. SeparateMounts() comes first.
class SmallDisk {
 public:
  SmallDisk() = default;
  ~SmallDisk();
  absl::Status Mount(const std::string& folder, int64_t bytes);
  // Writes into a file of its own until nothing more fits; Free removes that.
  absl::Status Fill() const;
  void Free() const;

 private:
  std::string folder_;
};

// A network with a cable of its own to this machine's.
class NetworkNamespace {
 public:
  // PERMISSION_DENIED: this is not permitted here.
  static absl::StatusOr<std::unique_ptr<NetworkNamespace>> Create();
  ~NetworkNamespace();

  const std::string& host_address() const { return host_address_; }  // as seen from inside
  absl::Status SetConnected(bool connected) const;
  // What this thread starts in between is inside. Use from one thread.
  absl::Status Enter() const;
  absl::Status Leave() const;

 private:
  NetworkNamespace() = default;

  int outside_ = -1;  // open files of the namespaces
  int inside_ = -1;
  std::string cable_;  // the end on this side
  std::string host_address_;
};

}  // namespace varpulis::faults
