#include "cli/flags.h"

#include <cstdlib>
#include <optional>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"

#include "base/nearest_name.h"
#include "transport/event_streams.h"

DEFINE_uint32(port, 0, "HTTP port; 0 takes a free one");
DEFINE_string(bind, "127.0.0.1", "address to listen on");
DEFINE_string(api_key, "", "key that clients send as x-api-key; none: open");
DEFINE_string(api_keys, "", "JSON file of keys with roles, instead of --api-key");
DEFINE_string(nats, "", "broker URL(s), comma separated");
DEFINE_string(nats_user, "", "user name at the broker");
DEFINE_string(nats_password, "", "password at the broker");
DEFINE_string(nats_token, "", "token at the broker");
DEFINE_string(nats_creds, "", "credentials file (JWT and nkey)");
DEFINE_string(nats_nkey, "", "file with an nkey seed");
DEFINE_string(nats_ca, "", "CA certificate file for TLS to the broker");
DEFINE_string(nats_cert, "", "client certificate file for TLS to the broker");
DEFINE_string(nats_key, "", "client key file for TLS to the broker");
DEFINE_string(nats_advertise, "", "broker URL(s) told to workers instead of the one in use");
DEFINE_uint32(nats_replicas, 1,
              "brokers that are to have what is stored: 3, or 5, with as many brokers");
DEFINE_string(subject_prefix, "varpulis.cluster", "root of all subjects");
DEFINE_string(state_dir, "",
              "where an embedded broker keeps its data "
              "(default: $XDG_STATE_HOME/varpulis or ~/.local/state/varpulis)");
DEFINE_bool(embedded, false, "start a broker of our own on a free port, whatever else is there");
DEFINE_bool(insecure, false, "allow an embedded broker without login on a non-loopback address");
DEFINE_string(coordinator_id, "", "name of this coordinator (default: made up)");
DEFINE_uint32(heartbeat_interval, 5, "seconds between a worker's heartbeats");
DEFINE_uint32(heartbeat_timeout, 15, "seconds of silence after which a worker is unhealthy");
DEFINE_string(placement, "round-robin", "round-robin or least-loaded");
DEFINE_bool(strict_routing, false, "refuse an injected event that no route matches");
DEFINE_uint32(max_pipelines_per_group, 4096, "largest group accepted");
DEFINE_string(coordinator, "", "coordinator URL (http://host:9100, or nats://host:4222)");
DEFINE_string(worker_id, "", "worker identifier (default: a UUID)");
DEFINE_string(advertise_address, "", "base URL under which others reach this worker's HTTP API");
DEFINE_uint32(max_pipelines, 100, "pipelines this worker takes at most");
DEFINE_uint32(batch_linger_us, 1000,
              "microseconds that outputs may wait for those of input that waits already");
DEFINE_uint32(checkpoint_interval, 10,
              "seconds between the checkpoints of a pipeline; 0: only when it moves or ends");
DEFINE_uint32(
    checkpoint_max_mb, 0,
    "megabytes of all checkpoints together, when the stream is made; 0: as the broker allows");
DEFINE_uint32(
    input_max_mb, 0,
    "megabytes of the stored input of one exactly-once pipeline, when its stream is made; 0: "
    "as the broker allows");
DEFINE_uint32(output_max_age, 86'400,
              "seconds for which the outputs of exactly-once groups stay stored");
DEFINE_uint32(
    drain_timeout, 30,
    "seconds given to the cluster, at shutdown, to move this worker's pipelines; 0: none");
DEFINE_string(cors_origins, "", "origins allowed to call from a browser, comma separated");
DEFINE_uint32(workers, 2, "number of workers (simulate: threads, with --immediate)");
DEFINE_uint32(worker_port, 9000, "HTTP port of the first worker; the next ones follow");
DEFINE_string(program, "", "VPL file");
DEFINE_string(events, "", "event file (.evt or JSON lines)");
DEFINE_bool(immediate, false, "do not wait for the events' offsets");
DEFINE_string(output, "jsonl", "form of the output events: jsonl");
DEFINE_bool(preload, false, "read all events into memory first");
DEFINE_string(partition_by, "", "field that spreads events over workers (default: as it fits)");
DEFINE_string(base, "0", "time of offset 0 in the events, RFC 3339 or milliseconds");
DEFINE_bool(verbose, false, "say what is loaded, and counters every second");
DEFINE_bool(quiet, false, "print the summary only");
DEFINE_string(format, "human", "human (parse: tree) or json");
DEFINE_bool(write, false, "change the file itself");
DEFINE_bool(check, false, "change nothing; only tell whether the layout is the canonical one");

namespace varpulis::cli {
namespace {

constexpr uint32_t kLastPort = 65'535;
constexpr uint32_t kMostPipelines = 1'000'000;
constexpr uint32_t kLongestPeriod = 86'400;

struct FlagSpec {
  const char* name;         // of the gflag
  char short_name;          // '\0': none
  const char* variable;     // environment, or nullptr
  const char* placeholder;  // nullptr: boolean
  // A number, and which: max is 0 for all else.
  uint32_t min = 0, max = 0;
  // A variable that transport/nats_environment reads where the flag says nothing.
  const char* broker_variable = nullptr;

  bool is_number() const { return max > 0; }
};

constexpr FlagSpec BrokerFlag(const char* name, const char* placeholder, const char* variable) {
  return {name, 0, nullptr, placeholder, 0, 0, variable};
}

constexpr FlagSpec kFlags[] = {
    {"port", 'p', nullptr, "PORT", 0, kLastPort},
    {"bind", 0, nullptr, "BIND"},
    {"api_key", 0, "VARPULIS_API_KEY", "API_KEY"},
    {"api_keys", 0, "VARPULIS_API_KEYS", "FILE"},
    {"nats", 0, "VARPULIS_NATS", "URL", 0, 0, "NATS_URL"},
    BrokerFlag("nats_user", "USER", "NATS_USER"),
    BrokerFlag("nats_password", "PASSWORD", "NATS_PASSWORD"),
    BrokerFlag("nats_token", "TOKEN", "NATS_TOKEN"),
    BrokerFlag("nats_creds", "FILE", "NATS_CREDS"),
    BrokerFlag("nats_nkey", "FILE", "NATS_NKEY"),
    BrokerFlag("nats_ca", "FILE", "NATS_CA"),
    BrokerFlag("nats_cert", "FILE", "NATS_CERT"),
    BrokerFlag("nats_key", "FILE", "NATS_KEY"),
    {"nats_advertise", 0, nullptr, "URL"},
    {"nats_replicas", 0, "VARPULIS_NATS_REPLICAS", "N", 1, transport::kMostReplicas},
    {"subject_prefix", 0, nullptr, "PREFIX"},
    {"state_dir", 0, "VARPULIS_STATE_DIR", "DIR"},
    {"embedded", 0, nullptr, nullptr},
    {"insecure", 0, nullptr, nullptr},
    {"coordinator_id", 0, "VARPULIS_COORDINATOR_ID", "ID"},
    {"heartbeat_interval", 0, "VARPULIS_HEARTBEAT_INTERVAL", "SECONDS", 1, kLongestPeriod},
    {"heartbeat_timeout", 0, "VARPULIS_HEARTBEAT_TIMEOUT", "SECONDS", 1, kLongestPeriod},
    {"placement", 0, nullptr, "STRATEGY"},
    {"strict_routing", 0, nullptr, nullptr},
    {"max_pipelines_per_group", 0, nullptr, "N", 1, kMostPipelines},
    {"coordinator", 0, "VARPULIS_COORDINATOR", "URL"},
    {"worker_id", 0, "VARPULIS_WORKER_ID", "ID"},
    {"advertise_address", 0, "VARPULIS_ADVERTISE_ADDRESS", "URL"},
    {"max_pipelines", 0, nullptr, "N", 1, kMostPipelines},
    {"batch_linger_us", 0, nullptr, "MICROSECONDS", 0, 1000},
    {"checkpoint_interval", 0, "VARPULIS_CHECKPOINT_INTERVAL", "SECONDS", 0, kLongestPeriod},
    {"checkpoint_max_mb", 0, nullptr, "MB", 0, 100'000'000},
    {"input_max_mb", 0, nullptr, "MB", 0, 100'000'000},
    {"output_max_age", 0, nullptr, "SECONDS", 60, 100'000'000},
    {"drain_timeout", 0, nullptr, "SECONDS", 0, kLongestPeriod},
    {"cors_origins", 0, nullptr, "ORIGINS"},
    {"workers", 0, nullptr, "N", 1, 256},
    {"worker_port", 0, nullptr, "PORT", 0, kLastPort},
    {"program", 0, nullptr, "FILE"},
    {"events", 0, nullptr, "FILE"},
    {"immediate", 0, nullptr, nullptr},
    {"output", 0, nullptr, "FORM"},
    {"preload", 0, nullptr, nullptr},
    {"partition_by", 0, nullptr, "FIELD"},
    {"base", 0, nullptr, "TIME"},
    {"verbose", 'v', nullptr, nullptr},
    {"quiet", 'q', nullptr, nullptr},
    {"format", 0, nullptr, "FORM"},
    {"write", 'w', nullptr, nullptr},
    {"check", 0, nullptr, nullptr},
};

const FlagSpec& SpecOf(absl::string_view name) {
  for (const FlagSpec& spec : kFlags) {
    if (name == spec.name) return spec;
  }
  std::abort();  // a command lists a flag that the table lacks: our own mistake
}

std::string Dashed(absl::string_view name) { return absl::StrReplaceAll(name, {{"_", "-"}}); }

std::vector<std::string>& GivenFlags() {
  static auto& given = *new std::vector<std::string>();
  return given;
}

absl::Status Set(const FlagSpec& spec, const std::string& value, absl::string_view origin) {
  const auto refuse = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": '", value, "' is not ", wanted));
  };
  if (spec.is_number()) {
    uint32_t number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < spec.min || number > spec.max) {
      return refuse(absl::StrCat("a number from ", spec.min, " to ", spec.max));
    }
  }
  if (gflags::SetCommandLineOption(spec.name, value.c_str()).empty()) {
    return refuse(spec.placeholder == nullptr ? "true or false" : "a valid value (see --help)");
  }
  GivenFlags().push_back(spec.name);
  return absl::OkStatus();
}

std::set<std::string> Urls(const std::string& list) {
  std::set<std::string> urls;
  for (const absl::string_view url : absl::StrSplit(list, ',')) {
    urls.emplace(absl::StripAsciiWhitespace(url));
  }
  return urls;
}

bool Knows(const Command& command, absl::string_view flag) {
  return absl::c_any_of(command.flags, [&](const char* name) { return flag == name; });
}

// What each flag alone does not show.
absl::Status CheckTogether(const Command& command) {
  if (Knows(command, "heartbeat_timeout") && FLAGS_heartbeat_timeout < FLAGS_heartbeat_interval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--heartbeat-timeout is ", FLAGS_heartbeat_timeout, " s, below --heartbeat-interval, ",
        FLAGS_heartbeat_interval, " s: every worker would be unhealthy between two heartbeats"));
  }
  if (Knows(command, "worker_port") && FLAGS_worker_port + FLAGS_workers - 1 > kLastPort) {
    return absl::InvalidArgumentError(
        absl::StrCat("--worker-port: from ", FLAGS_worker_port, " on there are no ", FLAGS_workers,
                     " ports (--workers); ", kLastPort, " is the last"));
  }
  if (Knows(command, "coordinator") && IsSet("nats") && IsBrokerUrl(FLAGS_coordinator) &&
      Urls(FLAGS_nats) != Urls(FLAGS_coordinator)) {
    // Not shown: they may carry a login.
    return absl::InvalidArgumentError(
        "--nats and --coordinator name different brokers; give one of them");
  }
  return absl::OkStatus();
}

// The documented defaults differ by command where one flag serves several.
void SetDefaults(const Command& command) {
  const std::string name = command.name;
  if (name == "coordinator" || name == "gateway" || name == "up") FLAGS_port = 9100;
  if (name == "server") FLAGS_port = 9000;
  if (name == "parse") FLAGS_format = "tree";
  if (name == "simulate") FLAGS_workers = 1;
}

const FlagSpec* FindFlag(const Command& command, const std::string& text, bool is_short) {
  for (const char* name : command.flags) {
    const FlagSpec& spec = SpecOf(name);
    if (is_short ? (text.size() == 1 && spec.short_name == text[0])
                 : Dashed(spec.name) == Dashed(text)) {
      return &spec;
    }
  }
  return nullptr;
}

}  // namespace

absl::Span<const Command> Commands() {
#define VARPULIS_NATS_FLAGS                                                                 \
  "nats", "nats_user", "nats_password", "nats_token", "nats_creds", "nats_nkey", "nats_ca", \
      "nats_cert", "nats_key", "subject_prefix"
  static const auto& commands = *new std::vector<Command>{
      {"coordinator",
       "Start the cluster coordinator (control plane)",
       nullptr,
       {"port", "bind", "api_key", "api_keys", "cors_origins", "coordinator_id",
        "heartbeat_interval", "heartbeat_timeout", "placement", "strict_routing",
        "max_pipelines_per_group", "state_dir", "embedded", "insecure", "nats_advertise",
        "nats_replicas", VARPULIS_NATS_FLAGS}},
      {"server",
       "Start a worker, alone or registered with a coordinator",
       nullptr,
       {"port", "bind", "api_key", "coordinator", "worker_id", "advertise_address", "max_pipelines",
        "batch_linger_us", "checkpoint_interval", "checkpoint_max_mb", "input_max_mb",
        "output_max_age", "drain_timeout", VARPULIS_NATS_FLAGS}},
      {"gateway",
       "Run the HTTP API of a coordinator alone, as a NATS client",
       nullptr,
       {"port", "bind", "api_key", "api_keys", "cors_origins", "nats_advertise",
        VARPULIS_NATS_FLAGS}},
      {"up",
       "Run a whole cluster in this terminal: broker, coordinator, workers",
       nullptr,
       {"workers", "port", "worker_port", "bind", "api_key", "state_dir", "embedded", "insecure",
        VARPULIS_NATS_FLAGS}},
      {"check", "Check a VPL program", "FILE", {"format"}},
      {"parse", "Print the tree of a VPL program", "FILE", {"format"}},
      {"fmt", "Lay out a VPL program", "FILE", {"write", "check"}},
      {"simulate",
       "Run a VPL program over an event file",
       nullptr,
       {"program", "events", "immediate", "preload", "workers", "partition_by", "base", "output",
        "quiet", "verbose"}},
      {"version", "Print the version", nullptr, {}},
  };
#undef VARPULIS_NATS_FLAGS
  return commands;
}

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

absl::StatusOr<ParsedLine> ParseFlags(const Command& command, absl::Span<const std::string> args) {
  SetDefaults(command);
  GivenFlags().clear();
  for (const char* name : command.flags) {
    const FlagSpec& spec = SpecOf(name);
    const char* value = spec.variable == nullptr ? nullptr : std::getenv(spec.variable);
    if (value == nullptr || *value == '\0') continue;
    if (absl::Status set = Set(spec, value, spec.variable); !set.ok()) return set;
  }
  ParsedLine line;
  bool only_positional = false;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (only_positional || arg.size() < 2 || arg[0] != '-') {
      line.positional.push_back(arg);
      continue;
    }
    if (arg == "--") {
      only_positional = true;
      continue;
    }
    if (arg == "--help" || arg == "-h") {
      line.help = true;
      return line;
    }
    const bool is_short = arg[1] != '-';
    std::string name = arg.substr(is_short ? 1 : 2);
    std::optional<std::string> value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (is_short && name.size() > 1) {  // -p9100
      value = name.substr(1);
      name.resize(1);
    }
    const FlagSpec* spec = FindFlag(command, name, is_short);
    if (spec == nullptr) {
      std::vector<std::string> known;
      for (const char* flag : command.flags) known.push_back("--" + Dashed(flag));
      const std::string given = (is_short ? "-" : "--") + name;
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag ", given, is_short ? "" : DidYouMean(given, known)));
    }
    if (!value.has_value()) {
      if (spec->placeholder == nullptr) {
        value = "true";
      } else if (i + 1 < args.size()) {
        value = args[++i];
      } else {
        return absl::InvalidArgumentError(
            absl::StrCat("--", Dashed(spec->name), " needs a value <", spec->placeholder, ">"));
      }
    }
    if (absl::Status set = Set(*spec, *value, absl::StrCat("--", Dashed(spec->name))); !set.ok()) {
      return set;
    }
  }
  if (command.positional == nullptr && !line.positional.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", line.positional[0], "'"));
  }
  if (absl::Status fit = CheckTogether(command); !fit.ok()) return fit;
  return line;
}

bool IsBrokerUrl(absl::string_view url) {
  return absl::StartsWith(url, "nats://") || absl::StartsWith(url, "tls://");
}

bool IsSet(const char* flag) {
  for (const std::string& given : GivenFlags()) {
    if (given == flag) return true;
  }
  return false;
}

std::string Help(const Command& command) {
  SetDefaults(command);
  std::string text = absl::StrCat(
      command.summary, "\n\nUsage: varpulis ", command.name,
      command.positional != nullptr ? absl::StrCat(" <", command.positional, ">") : std::string(),
      " [OPTIONS]\n\nOptions:\n");
  for (const char* name : command.flags) {
    const FlagSpec& spec = SpecOf(name);
    const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(name);
    const std::string left = absl::StrCat(
        spec.short_name != 0 ? absl::StrFormat("  -%c, ", spec.short_name) : std::string("      "),
        "--", Dashed(name),
        spec.placeholder != nullptr ? absl::StrCat(" <", spec.placeholder, ">") : "");
    absl::StrAppendFormat(&text, "%-34s %s", left, info.description);
    // What was given is no default, and may be a secret.
    if (spec.placeholder != nullptr && !info.current_value.empty() && !IsSet(name)) {
      absl::StrAppend(&text, " [default: ", info.current_value, "]");
    }
    std::vector<const char*> variables;
    if (spec.variable != nullptr) variables.push_back(spec.variable);
    // A variable meant for other programs of this shell must not make a server join a cluster.
    const bool ignored = absl::string_view(name) == "nats" && Knows(command, "coordinator");
    if (spec.broker_variable != nullptr && !ignored) variables.push_back(spec.broker_variable);
    if (!variables.empty()) absl::StrAppend(&text, " [env: ", absl::StrJoin(variables, ", "), "]");
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppendFormat(&text, "%-34s %s\n", "  -h, --help", "Print this text");
  if (Knows(command, "nats")) {
    absl::StrAppend(&text,
                    "\nWhat neither flag nor variable says about the broker comes from the nats "
                    "context that NATS_CONTEXT\nnames, or that `nats context select` chose.\n");
  }
  if (Knows(command, "coordinator")) {
    absl::StrAppend(&text,
                    "\nOnly --coordinator or --nats (or VARPULIS_COORDINATOR, VARPULIS_NATS) makes "
                    "a server join a cluster;\nNATS_URL alone does not.\n");
  }
  return text;
}

std::string GeneralHelp() {
  std::string text =
      "Continuous queries over event streams, alone or as a cluster on NATS.\n\n"
      "Usage: varpulis <COMMAND> [OPTIONS]\n\nCommands:\n";
  for (const Command& command : Commands()) {
    absl::StrAppendFormat(&text, "  %-12s %s\n", command.name, command.summary);
  }
  absl::StrAppend(&text,
                  "\n`varpulis help <COMMAND>` lists a command's options and their variables.\n");
  return text;
}

std::string DidYouMean(const std::string& given, const std::vector<std::string>& known) {
  const std::optional<std::string> near = NearestName(given, known);
  return near.has_value() ? absl::StrCat("; did you mean `", *near, "`?") : "";
}

}  // namespace varpulis::cli
