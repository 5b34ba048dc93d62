#include "test/faults/isolation.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status_macros.h"

namespace varpulis::faults {
namespace {

absl::Status Failed(const std::string& what, int error) {
  const std::string text = absl::StrCat(what, ": ", strerror(error));
  return error == EPERM || error == EACCES ? absl::PermissionDeniedError(text)
                                           : absl::InternalError(text);
}

}  // namespace

absl::Status Run(const std::string& command_line) {
  std::vector<std::string> words = absl::StrSplit(command_line, ' ', absl::SkipEmpty());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  if (const int error = posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
      error != 0) {
    return Failed(command_line, error);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(command_line, " has failed"));
}

absl::Status SeparateMounts() {
  if (unshare(CLONE_NEWNS) != 0) return Failed("unshare(CLONE_NEWNS)", errno);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Failed("making the mounts private", errno);
  }
  return absl::OkStatus();
}

// ---------------------------------------------------------------- a disk

SmallDisk::~SmallDisk() {
  if (folder_.empty()) return;
  umount2(folder_.c_str(), MNT_DETACH);
  // The folder around it could not go while this was in it.
  std::error_code ignored;
  std::filesystem::remove_all(std::filesystem::path(folder_).parent_path(), ignored);
}

absl::Status SmallDisk::Mount(const std::string& folder, int64_t bytes) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return Failed(folder, errno);
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, absl::StrCat("size=", bytes).c_str()) != 0) {
    return Failed(absl::StrCat("mounting a disk on ", folder), errno);
  }
  folder_ = folder;
  return absl::OkStatus();
}

absl::Status SmallDisk::Fill() const {
  const std::string path = folder_ + "/filler";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(path, errno);
  const std::string block(4096, 'x');
  while (write(fd, block.data(), block.size()) > 0) continue;
  const int error = errno;
  close(fd);
  return error == ENOSPC ? absl::OkStatus() : Failed(path, error);
}

void SmallDisk::Free() const { unlink((folder_ + "/filler").c_str()); }

// ---------------------------------------------------------------- a network

absl::StatusOr<std::unique_ptr<NetworkNamespace>> NetworkNamespace::Create() {
  static std::atomic<int> created{0};
  std::unique_ptr<NetworkNamespace> network(new NetworkNamespace());
  network->outside_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (network->outside_ < 0) return Failed("this network", errno);

  // The namespace is made by a thread that stays until the cable is in it; then its file keeps it.
  std::promise<int> made;
  std::promise<void> plugged;
  pid_t tid = 0;
  std::thread maker([&] {
    tid = static_cast<pid_t>(syscall(SYS_gettid));
    made.set_value(unshare(CLONE_NEWNET) == 0 ? 0 : errno);
    plugged.get_future().wait();
  });
  const auto build = [&]() -> absl::Status {
    if (const int error = made.get_future().get(); error != 0) {
      return Failed("unshare(CLONE_NEWNET)", error);
    }
    const std::string path = absl::StrCat("/proc/self/task/", tid, "/ns/net");
    network->inside_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (network->inside_ < 0) return Failed(path, errno);
    const int number = created++;
    const std::string id = absl::StrCat(getpid() % 100000, "n", number);
    network->cable_ = absl::StrCat("vf", id);
    const std::string far_end = absl::StrCat("vg", id);
    // Of 198.18.0.0/15, which is kept for tests of this kind.
    const int net = (getpid() * 8 + number) % 16384;
    const std::string base = absl::StrCat("198.18.", net / 64, ".");
    network->host_address_ = absl::StrCat(base, net % 64 * 4 + 1);
    const std::string guest = absl::StrCat(base, net % 64 * 4 + 2);
    RETURN_IF_ERROR(Run(absl::StrCat("ip link add ", network->cable_, " type veth peer name ",
                                     far_end, " netns ", tid)));
    RETURN_IF_ERROR(
        Run(absl::StrCat("ip addr add ", network->host_address_, "/30 dev ", network->cable_)));
    RETURN_IF_ERROR(Run(absl::StrCat("ip link set ", network->cable_, " up")));
    RETURN_IF_ERROR(network->Enter());
    absl::Status inside = Run("ip link set lo up");
    if (inside.ok()) inside = Run(absl::StrCat("ip addr add ", guest, "/30 dev ", far_end));
    if (inside.ok()) inside = Run(absl::StrCat("ip link set ", far_end, " up"));
    RETURN_IF_ERROR(network->Leave());
    return inside;
  };
  const absl::Status built = build();
  plugged.set_value();
  maker.join();
  if (!built.ok()) return built;
  return network;
}

NetworkNamespace::~NetworkNamespace() {
  if (!cable_.empty())
    Run(absl::StrCat("ip link del ", cable_)).IgnoreError();  // goes with it anyway
  for (const int fd : {inside_, outside_}) {
    if (fd >= 0) close(fd);
  }
}

absl::Status NetworkNamespace::SetConnected(bool connected) const {
  return Run(absl::StrCat("ip link set ", cable_, connected ? " up" : " down"));
}

absl::Status NetworkNamespace::Enter() const {
  return setns(inside_, CLONE_NEWNET) == 0 ? absl::OkStatus() : Failed("setns", errno);
}

absl::Status NetworkNamespace::Leave() const {
  return setns(outside_, CLONE_NEWNET) == 0 ? absl::OkStatus() : Failed("setns", errno);
}

}  // namespace varpulis::faults
