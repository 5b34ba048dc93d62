#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gflags/gflags_declare.h"

// The command line of `varpulis COMMAND [OPTIONS]`, on top of gflags. gflags holds the values; this
// table says which command knows which flag, and spells them as documented: dashes, short forms,
// `--flag value` and `--flag=value`, environment variables. Main thread only.

DECLARE_uint32(port);
DECLARE_string(bind);
DECLARE_string(api_key);
DECLARE_string(api_keys);
DECLARE_string(nats);
DECLARE_string(nats_user);
DECLARE_string(nats_password);
DECLARE_string(nats_token);
DECLARE_string(nats_creds);
DECLARE_string(nats_nkey);
DECLARE_string(nats_ca);
DECLARE_string(nats_cert);
DECLARE_string(nats_key);
DECLARE_string(nats_advertise);
DECLARE_uint32(nats_replicas);
DECLARE_string(subject_prefix);
DECLARE_string(state_dir);
DECLARE_bool(embedded);
DECLARE_bool(insecure);
DECLARE_string(coordinator_id);
DECLARE_uint32(heartbeat_interval);
DECLARE_uint32(heartbeat_timeout);
DECLARE_string(placement);
DECLARE_bool(strict_routing);
DECLARE_uint32(max_pipelines_per_group);
DECLARE_string(coordinator);
DECLARE_string(worker_id);
DECLARE_string(advertise_address);
DECLARE_uint32(max_pipelines);
DECLARE_uint32(batch_linger_us);
DECLARE_uint32(checkpoint_interval);
DECLARE_uint32(checkpoint_max_mb);
DECLARE_uint32(input_max_mb);
DECLARE_uint32(output_max_age);
DECLARE_uint32(drain_timeout);
DECLARE_string(cors_origins);
DECLARE_uint32(workers);
DECLARE_uint32(worker_port);
DECLARE_string(program);
DECLARE_string(events);
DECLARE_bool(immediate);
DECLARE_string(output);
DECLARE_bool(preload);
DECLARE_string(partition_by);
DECLARE_string(base);
DECLARE_bool(verbose);
DECLARE_bool(quiet);
DECLARE_string(format);
DECLARE_bool(write);
DECLARE_bool(check);

namespace varpulis::cli {

struct Command {
  const char* name;
  const char* summary;             // one line
  const char* positional;          // "FILE", or nullptr
  std::vector<const char*> flags;  // gflags names, in the order of the help
};

absl::Span<const Command> Commands();
const Command* FindCommand(const std::string& name);  // nullptr: none

struct ParsedLine {
  bool help = false;
  std::vector<std::string> positional;
};

// Sets the gflags of `command` from the environment, then from `args`. INVALID_ARGUMENT with the
// nearest flag's name for an unknown one, with name, value and range for a value that cannot be,
// and for values that do not go together.
absl::StatusOr<ParsedLine> ParseFlags(const Command& command, absl::Span<const std::string> args);

// True when the user gave the flag on the command line or through its variable.
bool IsSet(const char* flag);

// nats:// or tls://: the first of a list of broker URLs, rather than a coordinator's HTTP API.
bool IsBrokerUrl(absl::string_view url);

std::string Help(const Command& command);
std::string GeneralHelp();
// "; did you mean `x`?", or "" when nothing is near.
std::string DidYouMean(const std::string& given, const std::vector<std::string>& known);

}  // namespace varpulis::cli
