#include "rest/session.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "rest/http_error.h"
#include "rest/response_writer.h"

namespace varpulis::rest {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kReadSize = 2048;          // a usual request in one read
constexpr size_t kKeptBuffer = 4096;        // capacity an idle connection may keep
constexpr size_t kRefusedBody = 64 << 10;   // read through after a refusal, to keep the connection
constexpr size_t kLingerBytes = 64 << 20;   // thrown away at most, before a close
constexpr size_t kStreamBacklog = 1 << 20;  // unsent bytes of a stream; more is refused

constexpr SteadyTime kNever = SteadyTime::max();

// One connection, one request at a time; what a client sends ahead waits in its buffer.
//
//   handshake → idle → reading → handling → writing → idle …
//                         └ refusal ┴──────────┘ └ streaming, lingering → closed
//
// Lives on its loop; the loop's set keeps it, and so does whoever owes it an answer.
template <typename Stream>
class Session final : public Exchange,
                      public Loop::Connection,
                      public std::enable_shared_from_this<Session<Stream>> {
  static constexpr bool kTls = !std::is_same_v<Stream, tcp::socket>;
  enum class Phase {
    kHandshake,
    kIdle,
    kReading,
    kHandling,
    kWriting,
    kStreaming,
    kLingering,
    kClosed
  };

 public:
  template <typename... StreamArguments>
  Session(std::shared_ptr<Loop> loop, std::shared_ptr<Shared> shared, StreamArguments&&... stream)
      : loop_(std::move(loop)),
        shared_(std::move(shared)),
        stream_(std::forward<StreamArguments>(stream)...) {}

  void Start() {
    loop_->Add(this->shared_from_this());
    if constexpr (kTls) {
      Enter(Phase::kHandshake, shared_->options.request_timeout);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (error) return self->Close();
                                self->NextRequest();
                              });
    } else {
      NextRequest();
    }
  }

  // ---- Exchange

  bool Post(std::function<void()> task) override { return loop_->Post(std::move(task)); }
  void After(absl::Duration delay, std::function<void()> task) override {
    loop_->After(delay, std::move(task));
  }

  void Answer(HttpResponse response) override {
    if (phase_ != Phase::kHandling && phase_ != Phase::kReading) return;  // closed meanwhile
    shared_->cors.AddTo(origin_, response);
    keep_alive_ = keep_alive_ && !loop_->stopping();
    out_head_ = WriteResponseHead(response, HeadOptions(/*chunked=*/false));
    out_body_ = head_only_ || response.status == 204 ? std::string() : std::move(response.body);
    Enter(Phase::kWriting, shared_->options.write_timeout);
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(out_head_),
                                                       asio::buffer(out_body_)};
    asio::async_write(
        stream_, buffers,
        [self = this->shared_from_this()](error_code error, size_t) { self->OnAnswered(error); });
  }

  void Begin(HttpResponse head, std::function<void()> on_closed) override {
    if (phase_ != Phase::kHandling) return on_closed();
    if (head_only_) {
      on_closed();
      return Answer(std::move(head));
    }
    shared_->cors.AddTo(origin_, head);
    keep_alive_ = false;
    on_closed_ = std::move(on_closed);
    chunked_ = !http_1_0_;
    Enter(Phase::kStreaming, absl::InfiniteDuration());
    backlog_ = WriteResponseHead(head, HeadOptions(chunked_));
    WriteBacklog();
    WatchForHangup();
  }

  bool Write(std::string piece) override {
    if (phase_ != Phase::kStreaming || backlog_.size() + piece.size() > kStreamBacklog)
      return false;
    if (chunked_) {
      absl::StrAppend(&backlog_, absl::Hex(piece.size()), "\r\n", piece, "\r\n");
    } else {
      backlog_.append(piece);
    }
    WriteBacklog();
    return true;
  }

  // ---- Loop::Connection

  SteadyTime deadline() const override { return deadline_; }

  void OnDeadline() override {
    if (phase_ != Phase::kReading) return Close();
    // The pending read ends with operation_aborted, and the client is told.
    timed_out_ = true;
    error_code ignored;
    Socket().cancel(ignored);
  }

  void FinishUp() override {
    if (phase_ == Phase::kHandshake || phase_ == Phase::kIdle || phase_ == Phase::kStreaming ||
        phase_ == Phase::kLingering) {
      Close();
    }
  }

  void Abort() override { Close(); }

 private:
  tcp::socket& Socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  ResponseHeadOptions HeadOptions(bool chunked) const {
    return {.keep_alive = keep_alive_,
            .http_1_0 = http_1_0_,
            .chunked = chunked,
            .request_id = request_id_};
  }

  void Enter(Phase phase, absl::Duration timeout) {
    phase_ = phase;
    deadline_ = timeout == absl::InfiniteDuration()
                    ? kNever
                    : std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  }

  // ---- reading

  void NextRequest() {
    if (loop_->stopping()) return Close();
    head_ = RequestHead();
    admission_ = Admission();
    origin_ = request_id_ = absl::string_view();
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->options.max_header));
    // Set to what the route allows once the head is known. (none would refuse every
    // Content-Length.)
    parser_->body_limit(std::numeric_limits<uint64_t>::max());
    if (buffer_.size() > 0) return ReadHead();  // sent ahead
    if (buffer_.capacity() > kKeptBuffer) buffer_.shrink_to_fit();

    Enter(Phase::kIdle, shared_->options.idle_timeout);
    stream_.async_read_some(buffer_.prepare(kReadSize),
                            [self = this->shared_from_this()](error_code error, size_t size) {
                              if (error) return self->Close();
                              self->buffer_.commit(size);
                              self->ReadHead();
                            });
  }

  void ReadHead() {
    timed_out_ = false;
    Enter(Phase::kReading, shared_->options.request_timeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](error_code error, size_t) {
                              if (error) return self->OnReadError(error);
                              self->OnHead();
                            });
  }

  void OnHead() {
    const auto& message = parser_->get();
    const auto field = [&](http::field name) {
      const auto value = message[name];
      return absl::string_view(value.data(), value.size());
    };
    const auto method = message.method_string();
    head_.method = absl::string_view(method.data(), method.size());
    head_.target = absl::string_view(message.target().data(), message.target().size());
    head_.host = field(http::field::host);
    head_.content_type = field(http::field::content_type);
    const auto named = [&](const char* name) -> std::optional<absl::string_view> {
      const auto found = message.find(name);
      if (found == message.end()) return std::nullopt;
      return absl::string_view(found->value().data(), found->value().size());
    };
    head_.idempotency_key = named("idempotency-key").value_or("");
    head_.api_key = named("x-api-key");
    request_id_ = named("x-request-id").value_or("");
    origin_ = field(http::field::origin);
    head_.has_body = !parser_->is_done();
    keep_alive_ = parser_->keep_alive();
    http_1_0_ = message.version() < 11;
    head_only_ = head_.method == "HEAD";
    if (head_only_) head_.method = "GET";

    if (message.version() > 11 || message.version() < 10) {
      return RefuseAndClose(ErrorResponse(505, "invalid_request", "only HTTP/1.1 is spoken here"));
    }
    if (message.count(http::field::transfer_encoding) > 0 && !parser_->chunked()) {
      return RefuseAndClose(
          ErrorResponse(501, "invalid_request", "the only transfer coding known is chunked"));
    }
    if (!http_1_0_ && message.count(http::field::host) != 1) {
      return RefuseAndClose(ErrorResponse(400, "invalid_request", "exactly one Host is required"));
    }
    Admit(field(http::field::expect));
  }

  void Admit(absl::string_view expect) {
    const HttpOptions& options = shared_->options;
    if (head_.method == "OPTIONS") {
      admission_.refusal =
          shared_->cors.Preflight(origin_, shared_->routes.AllowedMethods(head_.target));
    } else if (head_.method != "GET" && !shared_->cors.MayChange(origin_, head_.host)) {
      admission_.refusal =
          ErrorResponse(403, "forbidden", "requests of this origin are not allowed");
    } else {
      admission_ = shared_->routes.Admit(head_);
    }
    size_t limit = admission_.route && admission_.route->large_body ? options.max_batch_body
                                                                    : options.max_body;
    const uint64_t length = parser_->content_length().value_or(0);
    if (!admission_.refusal && length > limit) return RefuseTooLarge(limit);
    if (!expect.empty() && !absl::EqualsIgnoreCase(expect, "100-continue")) {
      return RefuseAndClose(ErrorResponse(417, "invalid_request", "unknown expectation"));
    }
    if (admission_.refusal) {
      limit = std::min(limit, kRefusedBody);
      if (head_.has_body && (length > limit || !expect.empty())) {
        return RefuseAndClose(*std::move(admission_.refusal));
      }
    }
    parser_->body_limit(limit);
    if (!head_.has_body) return Dispatch();
    if (expect.empty() || http_1_0_ || buffer_.size() > 0) return ReadBody();
    static constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = this->shared_from_this()](error_code error, size_t) {
                        if (error) return self->Close();
                        self->ReadBody();
                      });
  }

  void ReadBody() {
    if (phase_ != Phase::kReading) return;
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](error_code error, size_t) {
                       if (error) return self->OnReadError(error);
                       self->Dispatch();
                     });
  }

  void OnReadError(error_code error) {
    if (phase_ != Phase::kReading) return;
    const HttpOptions& options = shared_->options;
    if (error == asio::error::operation_aborted && timed_out_) {
      return RefuseAndClose(ErrorResponse(408, "request_timeout", "the request took too long"));
    }
    if (error == http::error::body_limit) {
      if (admission_.refusal) return RefuseAndClose(*std::move(admission_.refusal));
      return RefuseTooLarge(admission_.route && admission_.route->large_body
                                ? options.max_batch_body
                                : options.max_body);
    }
    if (error == http::error::header_limit) {
      return RefuseAndClose(
          ErrorResponse(431, "header_too_large",
                        absl::StrCat("headers may have ", options.max_header, " bytes")));
    }
    // The client's mistakes get an answer, its absence does not.
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return RefuseAndClose(
          ErrorResponse(400, "invalid_request", absl::StrCat("malformed HTTP: ", error.message())));
    }
    Close();
  }

  void RefuseTooLarge(size_t limit) {
    RefuseAndClose(ErrorResponse(413, "payload_too_large",
                                 absl::StrCat("the body may have ", limit, " bytes")));
  }

  void RefuseAndClose(HttpResponse response) {
    keep_alive_ = false;
    Answer(std::move(response));
  }

  void Dispatch() {
    Enter(Phase::kHandling, absl::InfiniteDuration());
    if (admission_.refusal) return Answer(*std::move(admission_.refusal));
    const std::string body = std::move(parser_->get().body());  // not kept until the answer
    shared_->routes.Handle(admission_, head_, body, this->shared_from_this());
  }

  // ---- after the answer

  void OnAnswered(error_code error) {
    if (error || phase_ != Phase::kWriting) return Close();
    out_body_ = std::string();
    if (keep_alive_) return NextRequest();
    Linger();
  }

  // A close with unread input resets the connection and may destroy the answer on its way. So: say
  // that nothing more will come, and read away what the client still sends, for a while.
  void Linger() {
    if (loop_->stopping()) return CloseGently();
    Enter(Phase::kLingering, shared_->options.linger_timeout);
    parser_.reset();
    if constexpr (kTls) {
      // Ends as soon as the client answers the farewell, or sends anything else.
      stream_.async_shutdown(
          [self = this->shared_from_this()](error_code) { self->DiscardInput(); });
    } else {
      DiscardInput();
    }
  }

  void DiscardInput() {
    if (phase_ != Phase::kLingering) return;
    error_code error;
    Socket().shutdown(tcp::socket::shutdown_send, error);
    if (error) return Close();
    buffer_.clear();
    lingered_ = 0;
    DiscardSome();
  }

  void DiscardSome() {
    Socket().async_read_some(buffer_.prepare(64 << 10),
                             [self = this->shared_from_this()](error_code error, size_t size) {
                               self->lingered_ += size;
                               if (error || self->lingered_ > kLingerBytes) return self->Close();
                               self->DiscardSome();
                             });
  }

  void CloseGently() {
    error_code ignored;
    Socket().shutdown(tcp::socket::shutdown_send, ignored);
    Close();
  }

  void Close() {
    if (phase_ == Phase::kClosed) return;
    Enter(Phase::kClosed, absl::InfiniteDuration());
    error_code ignored;
    Socket().close(ignored);
    shared_->connections.fetch_sub(1, std::memory_order_relaxed);
    if (auto on_closed = std::exchange(on_closed_, nullptr)) on_closed();
    loop_->Remove(this);
  }

  // ---- streams

  void WriteBacklog() {
    if (stream_writing_ || backlog_.empty()) return;
    stream_writing_ = true;
    out_body_ = std::exchange(backlog_, std::string());
    Enter(Phase::kStreaming, shared_->options.write_timeout);
    asio::async_write(stream_, asio::buffer(out_body_),
                      [self = this->shared_from_this()](error_code error, size_t) {
                        self->stream_writing_ = false;
                        if (error || self->phase_ != Phase::kStreaming) return self->Close();
                        self->Enter(Phase::kStreaming, absl::InfiniteDuration());
                        self->WriteBacklog();
                      });
  }

  // Nothing is expected from the client any more, but its going away shows here.
  void WatchForHangup() {
    stream_.async_read_some(asio::buffer(hangup_byte_),
                            [self = this->shared_from_this()](error_code error, size_t) {
                              if (error || self->phase_ != Phase::kStreaming) return self->Close();
                              self->WatchForHangup();
                            });
  }

  const std::shared_ptr<Loop> loop_;  // first: outlives the stream
  const std::shared_ptr<Shared> shared_;
  Stream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  RequestHead head_;  // views into parser_
  absl::string_view origin_, request_id_;
  Admission admission_;
  std::string out_head_, out_body_;
  std::function<void()> on_closed_;
  std::string backlog_;
  std::array<char, 1> hangup_byte_;
  SteadyTime deadline_ = kNever;
  size_t lingered_ = 0;
  Phase phase_ = Phase::kIdle;
  bool keep_alive_ = true, http_1_0_ = false, head_only_ = false;
  bool timed_out_ = false, chunked_ = false, stream_writing_ = false;
};

}  // namespace

void StartSession(tcp::socket socket, std::shared_ptr<Loop> loop, std::shared_ptr<Shared> shared) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  if (shared->tls) {
    asio::ssl::context& tls = *shared->tls;
    std::make_shared<Session<asio::ssl::stream<tcp::socket>>>(std::move(loop), std::move(shared),
                                                              std::move(socket), tls)
        ->Start();
  } else {
    std::make_shared<Session<tcp::socket>>(std::move(loop), std::move(shared), std::move(socket))
        ->Start();
  }
}

}  // namespace varpulis::rest
