#include "cli/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace varpulis::cli {

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(Options options) {
  std::unique_ptr<ChildProcess> child(new ChildProcess(std::move(options)));
  // Everything that allocates happens before the fork.
  std::vector<std::string> words = {"varpulis"};
  words.insert(words.end(), child->options_.args.begin(), child->options_.args.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> settings;
  settings.reserve(child->options_.environment.size());
  for (const auto& [name, value] : child->options_.environment) {
    settings.push_back(absl::StrCat(name, "=", value));
  }
  // After ours: getenv takes the first of two.
  for (char** entry = environ; *entry != nullptr; ++entry) settings.emplace_back(*entry);
  std::vector<char*> envp;
  envp.reserve(settings.size() + 1);
  for (std::string& setting : settings) envp.push_back(setting.data());
  envp.push_back(nullptr);

  int ends[2] = {-1, -1};
  if (!child->options_.log_file.empty()) {
    ends[1] =
        open(child->options_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ends[1] < 0) {
      return absl::InternalError(absl::StrCat(child->options_.log_file, ": ", strerror(errno)));
    }
  } else if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::InternalError(absl::StrCat("pipe: ", strerror(errno)));
  }
  const char* executable = child->options_.executable.c_str();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(absl::StrCat("fork: ", strerror(errno)));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);  // Ctrl-C reaches the parent only, which stops its children in order
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    execve(executable, argv.data(), envp.data());
    _exit(127);
  }
  close(ends[1]);
  if (ends[0] >= 0) fcntl(ends[0], F_SETFL, O_NONBLOCK);
  child->pid_ = pid;
  child->output_ = ends[0];
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  if (output_ >= 0) close(output_);
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

bool ChildProcess::ReadLines(const std::function<void(const std::string&)>& line) {
  char buffer[4096];
  while (output_ >= 0) {
    const ssize_t got = read(output_, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) {
      if (!partial_.empty()) line(partial_);
      partial_.clear();
      close(output_);
      output_ = -1;
      return false;
    }
    partial_.append(buffer, static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      line(partial_.substr(begin, end - begin));
    }
    partial_.erase(0, begin);
  }
  return false;
}

int ChildProcess::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace varpulis::cli
