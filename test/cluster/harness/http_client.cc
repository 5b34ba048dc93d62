#include "test/cluster/harness/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "rapidjson/pointer.h"
#include "rapidjson/stringbuffer.h"
#include "rapidjson/writer.h"

namespace varpulis::testing {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

rapidjson::Document HttpReply::Json() const {
  rapidjson::Document document;
  document.Parse(body.data(), body.size());
  if (document.HasParseError()) document.SetNull();
  return document;
}

std::string HttpReply::At(const char* pointer) const {
  const rapidjson::Document document = Json();
  const rapidjson::Value* value = rapidjson::Pointer(pointer).Get(document);
  if (value == nullptr) return "";
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value->Accept(writer);
  return buffer.GetString();
}

HttpReply Fetch(const std::string& host, int port, const HttpRequest& request) {
  asio::io_context io;
  beast::tcp_stream stream(io);
  stream.expires_after(absl::ToChronoMilliseconds(request.timeout));
  beast::flat_buffer buffer;
  http::request<http::string_body> message(http::string_to_verb(request.method), request.path, 11);
  message.set(http::field::host, absl::StrCat(host, ":", port));
  message.set(http::field::connection, "close");
  if (!request.body.empty()) message.set(http::field::content_type, "application/json");
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  http::response_parser<http::string_body> parser;
  parser.body_limit(64 << 20);
  error_code failure = asio::error::timed_out;

  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"),
                                         static_cast<uint16_t>(port));
  stream.async_connect(endpoint, [&](error_code connect_error) {
    if (connect_error) {
      failure = connect_error;
      return;
    }
    // A server may answer and close before it has read a body that is too large; so the answer is
    // read whatever became of the write.
    http::async_write(stream, message, [&](error_code, size_t) {
      http::async_read(stream, buffer, parser,
                       [&](error_code read_error, size_t) { failure = read_error; });
    });
  });
  io.run_for(absl::ToChronoMilliseconds(request.timeout));
  HttpReply reply;
  if (failure && failure != http::error::end_of_stream) {
    reply.body = failure.message();
    return reply;
  }
  reply.status = static_cast<int>(parser.get().result_int());
  reply.body = parser.get().body();
  for (const auto& field : parser.get()) {
    reply.headers[absl::AsciiStrToLower(std::string(field.name_string()))] =
        std::string(field.value());
  }
  return reply;
}

}  // namespace varpulis::testing
