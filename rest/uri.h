#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace varpulis::rest {

// A request target taken apart. Segments are decoded after the split, so that a %2F stays inside
// its segment; in the query '+' is a blank.
struct Uri {
  std::vector<std::string> segments;                       // "/a/b" → {"a","b"}; "/" → {}
  std::vector<std::pair<std::string, std::string>> query;  // in order
};

// Nothing for a target that is not origin-form ("/…") or absolute-form, for a bad percent escape,
// and for an escaped NUL. One trailing slash is allowed and means nothing.
std::optional<Uri> ParseTarget(absl::string_view target);

std::optional<std::string> PercentDecode(absl::string_view text, bool plus_is_blank);

// "nats://10.0.0.5:4222" and "example.org:9100" → the URL with the host of the second, if its own
// is a loopback address and the other one is not; otherwise the URL as it was.
std::string ReplaceLoopbackHost(const std::string& url, absl::string_view host_header);

}  // namespace varpulis::rest
