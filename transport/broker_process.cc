#include "transport/broker_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strand.h"

namespace varpulis::transport {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kTermTimeout = absl::Seconds(5);
constexpr absl::Duration kPoll = absl::Milliseconds(2);
constexpr int kPortAttempts = 8;

absl::StatusOr<std::string> FindBinary() {
  if (const char* named = getenv("NATS_SERVER"); named != nullptr && *named != '\0') {
    if (access(named, X_OK) == 0) return std::string(named);
    return absl::NotFoundError(
        absl::StrCat("NATS_SERVER is ", named,
                     ", which cannot be executed; `apt-get install nats-server` brings one"));
  }
  const char* path = getenv("PATH");
  const std::string folders =
      absl::StrCat(path == nullptr ? "" : path, ":/usr/sbin:/usr/local/bin");
  for (const absl::string_view folder : absl::StrSplit(folders, ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(folder, "/nats-server");
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(
      "nats-server is not installed: `apt-get install nats-server`, or name the binary in the "
      "environment variable NATS_SERVER");
}

sockaddr_in LoopbackAddress(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (host.empty() || host == "0.0.0.0" ||
      inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  return address;
}

// A port that nobody listens on. Below the ephemeral range: a client that tries again and again to
// reach a dead broker on an ephemeral port connects to itself one day, and then the broker cannot
// bind.
int FreePort(const std::string& host) {
  static std::atomic<uint32_t> salt{std::random_device{}()};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = 12'000 + static_cast<int>((salt += 7919) % 20'000);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const sockaddr_in address = LoopbackAddress(host, port);
    const bool free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (free) return port;
  }
  return 0;
}

// Whether a NATS server greets on the port.
bool Greets(const std::string& host, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const sockaddr_in address = LoopbackAddress(host, port);
  bool greets = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    char begin[5];
    greets = poll(&readable, 1, 1000) == 1 && recv(fd, begin, 5, MSG_WAITALL) == 5 &&
             memcmp(begin, "INFO ", 5) == 0;
  }
  close(fd);
  return greets;
}

std::string Tail(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return all.size() <= 1000 ? all : all.substr(all.size() - 1000);
}

class BrokerProcessImpl final : public BrokerProcess {
 public:
  BrokerProcessImpl(BrokerOptions options, std::string binary)
      : options_(std::move(options)), binary_(std::move(binary)) {}
  ~BrokerProcessImpl() override;

  absl::Status Begin();

  std::string url() const override { return absl::StrCat("nats://", ShownHost(), ":", port_); }
  int port() const override { return port_; }
  pid_t pid() const override { return pid_; }

  absl::Status Kill(int signal) override;
  absl::Status Signal(int signal) override;
  absl::Status Restart() override;

 private:
  std::string ShownHost() const {
    return options_.host.empty() || options_.host == "0.0.0.0" ? "127.0.0.1" : options_.host;
  }
  absl::Status WriteConfig();
  absl::Status Spawn();
  absl::Status WaitUntilServing();
  bool WaitUntilGone(absl::Duration timeout);

  const BrokerOptions options_;
  const std::string binary_;
  std::string folder_;  // of the store, the configuration and the log
  bool folder_is_temporary_ = false;
  std::string config_file_;
  std::string log_file_;
  int port_ = 0;
  pid_t pid_ = -1;
  Strand forker_{"broker-forker"};  // PDEATHSIG strikes when the thread that forked ends
};

BrokerProcessImpl::~BrokerProcessImpl() {
  if (pid_ > 0) Kill(SIGTERM).IgnoreError();  // it reports only what waitpid said
  if (folder_is_temporary_) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
}

absl::Status BrokerProcessImpl::Begin() {
  folder_ = options_.store_dir;
  if (folder_.empty()) {
    std::string pattern = (fs::temp_directory_path() / "varpulis-nats-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot create ", pattern, ": ", strerror(errno)));
    }
    folder_ = pattern;
    folder_is_temporary_ = true;
  } else {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot create the broker's folder ", folder_, ": ", error.message()));
    }
  }
  config_file_ = folder_ + "/nats-server.conf";
  log_file_ = options_.log_file.empty() ? folder_ + "/nats-server.log" : options_.log_file;

  absl::Status status;
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    port_ = options_.port != 0 ? options_.port : FreePort(options_.host);
    RETURN_IF_ERROR(WriteConfig());
    status = Restart();
    if (status.ok() || options_.port != 0) return status;
  }
  return status;
}

absl::Status BrokerProcessImpl::WriteConfig() {
  std::ofstream config(config_file_, std::ios::trunc);
  config << "host: \"" << options_.host << "\"\nport: " << port_ << "\nserver_name: \""
         << (options_.server_name.empty() ? absl::StrCat("varpulis-", NewUuid().substr(0, 8))
                                          : options_.server_name)
         << "\"\n";
  if (options_.jetstream) config << "jetstream { store_dir: \"" << folder_ << "/jetstream\" }\n";
  for (const std::string& line : options_.extra_config) config << line << "\n";
  config.close();
  if (config) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("cannot write ", config_file_));
}

absl::Status BrokerProcessImpl::Spawn() {
  const int log = open(log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", log_file_, ": ", strerror(errno)));
  }
  auto forked = std::make_shared<std::promise<pid_t>>();  // set_value may end after get
  forker_.Post([this, log, forked] {
    const char* const argv[] = {binary_.c_str(), "-c", config_file_.c_str(), nullptr};
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {  // only async-signal-safe calls from here on
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != parent) _exit(127);
      setpgid(0, 0);  // a ^C at the terminal is ours to handle, in order
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, nullptr);
      dup2(log, STDOUT_FILENO);
      dup2(log, STDERR_FILENO);
      close_range(3, ~0U, 0);
      execv(argv[0], const_cast<char* const*>(argv));
      _exit(127);
    }
    forked->set_value(child < 0 ? -errno : child);
  });
  pid_ = forked->get_future().get();
  close(log);
  if (pid_ > 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("cannot fork: ", strerror(-pid_)));
}

absl::Status BrokerProcessImpl::WaitUntilServing() {
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (absl::Now() < deadline) {
    if (WaitUntilGone(absl::ZeroDuration())) {
      return absl::UnavailableError(
          absl::StrCat("nats-server ended at once; the end of its log:\n", Tail(log_file_)));
    }
    if (Greets(options_.host, port_)) return absl::OkStatus();
    absl::SleepFor(kPoll);
  }
  Kill(SIGKILL).IgnoreError();
  return absl::UnavailableError(absl::StrCat("nats-server does not accept connections on port ",
                                             port_, "; the end of its log:\n", Tail(log_file_)));
}

absl::Status BrokerProcessImpl::Restart() {
  if (!WaitUntilGone(absl::ZeroDuration())) {
    return absl::FailedPreconditionError("the broker is running");
  }
  RETURN_IF_ERROR(Spawn());
  return WaitUntilServing();
}

absl::Status BrokerProcessImpl::Signal(int signal) {
  if (pid_ <= 0 || kill(pid_, signal) != 0) {
    return absl::FailedPreconditionError("the broker is not running");
  }
  return absl::OkStatus();
}

absl::Status BrokerProcessImpl::Kill(int signal) {
  RETURN_IF_ERROR(Signal(signal));
  if (WaitUntilGone(kTermTimeout)) return absl::OkStatus();
  kill(pid_, SIGKILL);
  if (WaitUntilGone(kTermTimeout)) return absl::OkStatus();
  return absl::InternalError("the broker does not end");
}

bool BrokerProcessImpl::WaitUntilGone(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (pid_ > 0) {
    int status = 0;
    const pid_t gone = waitpid(pid_, &status, WNOHANG);
    if (gone == pid_ || (gone < 0 && errno == ECHILD)) {
      pid_ = -1;
      return true;
    }
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kPoll);
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BrokerProcess>> BrokerProcess::Start(BrokerOptions options) {
  ASSIGN_OR_RETURN(std::string binary, FindBinary());
  auto broker = std::make_unique<BrokerProcessImpl>(std::move(options), std::move(binary));
  RETURN_IF_ERROR(broker->Begin());
  return broker;
}

}  // namespace varpulis::transport
