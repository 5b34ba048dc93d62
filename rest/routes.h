#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"

#include "rest/auth.h"
#include "rest/http.h"
#include "rest/uri.h"
#include "transport/bus.h"
#include "transport/rpc.h"

namespace varpulis::rest {

// One documented endpoint: JSON in, one NATS request, JSON out. A row of a table, no behaviour.
struct Route {
  using Reply = absl::StatusOr<std::unique_ptr<google::protobuf::Message>>;

  std::string method;
  std::string path;  // "/api/v1/cluster/workers/{id}"
  Role role = Role::kViewer;
  bool needs_key = true;

  // Prototypes: default instances of the request and of the reply.
  const google::protobuf::Message* request = nullptr;
  const google::protobuf::Message* reply = nullptr;
  std::string subject;
  // Set where the {id} is a part of the subject; called with a validated id only.
  std::function<std::string(const std::string& id)> subject_of_id = nullptr;

  int success = 200;
  bool takes_body = false;                     // a JSON document is required
  bool body_optional = false;                  // … unless the body is empty
  bool large_body = false;                     // 16 MiB instead of 1 MiB
  std::string id_field;                        // request field that takes the {id}
  std::string name_field = {};                 // request field that takes a second one, the {name}
  std::vector<std::string> query_fields = {};  // request fields that may come from the query
  // An {id} that fails is answered with 400 and never travels.
  absl::Status (*validate_id)(absl::string_view id) = nullptr;

  // A mutating call carries a request id, and may therefore be sent again. An event has none: it is
  // sent again only if it certainly was not delivered.
  enum class Retry { kRead, kWithRequestId, kUndelivered } retry = Retry::kRead;

  // Where the answer is more than the reply as JSON.
  std::function<HttpResponse(const RequestHead&, const Reply&)> format = nullptr;
  // Where it is not one answer at all (the log stream): takes over instead of the NATS request.
  std::function<void(const std::string& id, std::shared_ptr<Exchange>)> stream = nullptr;
};

struct RoutesOptions {
  std::string unknown_key_code = "unauthorized";                          // of a 401
  std::string nobody_serves = "no coordinator is leading at the moment";  // text of that 503
  absl::Duration timeout = transport::kDefaultRequestTimeout;
  // While nobody serves a subject (a new leader is being elected) a call is repeated this long.
  absl::Duration retry_for = absl::Seconds(3);
  absl::Duration first_backoff = absl::Milliseconds(10);  // doubled each time, up to 80 ms
  // Subject of the notice that another coordinator leads. Its predecessor may have died with calls
  // in its hands: those that may be sent twice are sent again. Empty: nobody to hear of.
  std::string leader_notice;
};

// What the head alone decides.
struct Admission {
  std::optional<HttpResponse> refusal;  // answer this, whatever the body says
  std::shared_ptr<const Route> route;
  Uri uri;
  std::string id;    // of the path, decoded
  std::string name;  // likewise
};

// The table of one API and the one handler of all its rows. Immutable once the server runs; Admit
// and Handle are thread-safe. The bus must outlive the server and every call in flight.
class Routes {
 public:
  Routes(transport::Bus& bus, ApiKeys keys, RoutesOptions options = {});
  ~Routes();
  Routes(Routes&&) noexcept;

  void Add(Route route);

  Admission Admit(const RequestHead& head) const;
  // REQUIRES: an admission without a refusal. Runs on the exchange's loop.
  void Handle(const Admission& admission, const RequestHead& head, const std::string& body,
              std::shared_ptr<Exchange> exchange) const;
  // Comma-separated methods of `target`, for OPTIONS; empty: no such path.
  std::string AllowedMethods(absl::string_view target) const;

 private:
  struct Row {
    std::vector<std::string> segments;  // "{id}" stands for any one
    std::shared_ptr<const Route> route;
  };
  class CallsUnderWay;
  static bool Matches(const Row& row, const Uri& uri);

  transport::Bus* bus_;
  ApiKeys keys_;
  RoutesOptions options_;
  std::vector<Row> rows_;
  std::shared_ptr<CallsUnderWay> calls_;
  std::unique_ptr<transport::Subscription> leader_notices_;  // last: gone before what it uses
};

// A route with fixed messages and a fixed subject; the caller adds what else it needs.
template <typename Request, typename Reply>
Route Endpoint(const char* method, const char* path, Role role, std::string subject) {
  Route route;
  route.method = method;
  route.path = path;
  route.role = role;
  route.request = &Request::default_instance();
  route.reply = &Reply::default_instance();
  route.subject = std::move(subject);
  return route;
}

}  // namespace varpulis::rest
