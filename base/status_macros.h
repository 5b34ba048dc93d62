#pragma once

// Early return on error, the only macros of the project.
//
//   RETURN_IF_ERROR(store.Save(snapshot));
//   ASSIGN_OR_RETURN(Snapshot snapshot, store.Load(id));
//   ASSIGN_OR_RETURN(Snapshot snapshot, store.Load(id), Annotate("restoring ", id));
//
// `Annotate(...)` puts the caller's own context in front of the callee's reason and keeps code and
// payloads. The callee states the reason, each caller adds its context once, the top logs once.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace varpulis {

// `status` with "`context`: " before its message; OK stays OK.
inline absl::Status WithContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

namespace status_macros_internal {

template <typename... Parts>
auto Annotate(const Parts&... parts) {
  return [context = absl::StrCat(parts...)](const absl::Status& status) {
    return WithContext(status, context);
  };
}
inline absl::Status Apply(const absl::Status& status) { return status; }
template <typename Fn>
absl::Status Apply(const absl::Status& status, Fn&& fn) {
  return fn(status);
}
inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace status_macros_internal
}  // namespace varpulis

#define VARPULIS_CONCAT_INNER(a, b) a##b
#define VARPULIS_CONCAT(a, b) VARPULIS_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr, ...)                                                    \
  do {                                                                                \
    using ::varpulis::status_macros_internal::Annotate;                               \
    if (::absl::Status varpulis_status = (expr); !varpulis_status.ok()) {             \
      return ::varpulis::status_macros_internal::Apply(varpulis_status __VA_OPT__(, ) \
                                                           __VA_ARGS__);              \
    }                                                                                 \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr, ...) \
  VARPULIS_ASSIGN_OR_RETURN(VARPULIS_CONCAT(varpulis_result_, __LINE__), lhs, expr, __VA_ARGS__)

#define VARPULIS_ASSIGN_OR_RETURN(result, lhs, expr, ...)                                 \
  auto result = (expr);                                                                   \
  if (!result.ok()) {                                                                     \
    using ::varpulis::status_macros_internal::Annotate;                                   \
    return ::varpulis::status_macros_internal::Apply(                                     \
        ::varpulis::status_macros_internal::StatusOf(result) __VA_OPT__(, ) __VA_ARGS__); \
  }                                                                                       \
  lhs = std::move(result).value()
