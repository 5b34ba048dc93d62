#include "rest/http_error.h"

#include <string>

#include "proto/cluster.pb.h"
#include "transport/error_reply.h"
#include "transport/json_codec.h"

namespace varpulis::rest {
namespace {

HttpResponse Build(int http_status, const v1::ErrorReply& reply) {
  HttpResponse response;
  response.status = http_status;
  response.body = transport::ToJson(reply);
  // Both say when asking again makes sense; a client without a clock of its own can follow them.
  if (http_status == 429 || http_status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

HttpResponse ErrorResponse(const absl::Status& status) {
  return Build(transport::HttpStatus(status), transport::ToErrorReply(status));
}

HttpResponse ErrorResponse(int http_status, absl::string_view code, absl::string_view message) {
  v1::ErrorReply reply;
  reply.set_error(std::string(message));
  reply.set_code(std::string(code));
  return Build(http_status, reply);
}

const char* ReasonPhrase(int http_status) {
  switch (http_status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace varpulis::rest
