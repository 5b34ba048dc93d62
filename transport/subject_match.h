#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace varpulis::transport {

// The wildcard rules of NATS: `*` stands for one token, `>` at the end for one or more.
//
//   SubjectMatches("a.*.c", "a.b.c")   SubjectMatches("a.>", "a.b.c")   !SubjectMatches("a.>", "a")
bool SubjectMatches(absl::string_view pattern, absl::string_view subject);
bool HasWildcard(absl::string_view pattern);

// INVALID_ARGUMENT unless messages can be published to it: tokens, no blanks, no wildcards.
absl::Status CheckSubject(absl::string_view subject);
// The same with wildcards: what can be subscribed to.
absl::Status CheckPattern(absl::string_view pattern);

}  // namespace varpulis::transport
