#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "proto/cluster.pb.h"

#include "absl/strings/str_cat.h"
#include "test/rest/shim_fixture.h"

namespace varpulis::rest {
namespace {

using testing::HasSubstr;

// A key and a certificate for it, in a folder of the test's own.
class TlsTest : public ShimTest {
 protected:
  TlsTest() : folder_(absl::StrCat(testing::TempDir(), "/rest_tls_", getpid())) {
    std::filesystem::create_directories(folder_);
    options_.tls_cert = folder_ + "/cert.pem";
    options_.tls_key = folder_ + "/key.pem";
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* cert = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_sign(cert, key, EVP_sha256());
    FILE* file = std::fopen(options_.tls_cert.c_str(), "w");
    PEM_write_X509(file, cert);
    std::fclose(file);
    file = std::fopen(options_.tls_key.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  // Everything the server says to `text`, until it closes.
  std::string Exchange(const std::string& text, int min_version = TLS1_2_VERSION) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, min_version);
    BIO* bio = BIO_new_ssl_connect(context);
    BIO_set_conn_hostname(bio, absl::StrCat("127.0.0.1:", server_->port()).c_str());
    std::string answer;
    if (BIO_do_connect(bio) == 1) {
      BIO_write(bio, text.data(), static_cast<int>(text.size()));
      char buffer[4096];
      int got;
      while ((got = BIO_read(bio, buffer, sizeof(buffer))) > 0) {
        answer.append(buffer, static_cast<size_t>(got));
      }
    }
    BIO_free_all(bio);
    SSL_CTX_free(context);
    return answer;
  }

  const std::string folder_;
  HttpOptions options_;
};

TEST_F(TlsTest, ServesOverTls) {
  Script<v1::Empty, v1::TopologyResponse>(subjects_.Api("topology", "get"),
                                          [](const v1::Empty&) { return v1::TopologyResponse(); });
  ServeCoordinator({}, options_);
  const std::string path = "/api/v1/cluster/topology";
  const std::string two =
      HttpClient::Text("GET", path) + HttpClient::Text("GET", path, "", {"Connection: close"});
  const std::string answer = Exchange(two);
  const size_t first = answer.find("HTTP/1.1 200 OK");
  EXPECT_EQ(first, 0u) << answer;
  EXPECT_THAT(answer.substr(15), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr(R"({"groups":[],"workers":[],"routes":[]})"));
}

TEST_F(TlsTest, APlainRequestGetsNothing) {
  ServeCoordinator({}, options_);
  HttpClient client = Client();
  client.Send(HttpClient::Text("GET", "/health"));
  EXPECT_EQ(client.ReadReply().status, 0);
}

TEST_F(TlsTest, SaysWhatIsWrongWithTheFiles) {
  HttpOptions one_file = options_;
  one_file.tls_key = "";
  HttpOptions missing = options_;
  missing.tls_cert = folder_ + "/none.pem";
  for (const HttpOptions& options : {one_file, missing}) {
    const auto server = HttpServer::Start(options, CoordinatorRoutes(*bus_, subjects_, {}));
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << server.status();
  }
}

}  // namespace
}  // namespace varpulis::rest
