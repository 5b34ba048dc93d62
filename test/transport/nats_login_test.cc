// Every way of proving who we are, and who the broker is, against a real broker.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/support/certificates.h"
#include "test/support/nats_server.h"
#include "test/support/nkeys.h"

namespace varpulis::transport {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using varpulis::testing::AccountJwt;
using varpulis::testing::CertificateAuthority;
using varpulis::testing::Credentials;
using varpulis::testing::Nkey;
using varpulis::testing::OperatorJwt;
using varpulis::testing::Result;
using varpulis::testing::UserJwt;
using varpulis::testing::WaitUntil;

class NatsLoginTest : public varpulis::testing::NatsServerTest {
 protected:
  NatsLoginTest() {
    std::string pattern = ::testing::TempDir() + "nats-login-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~NatsLoginTest() override { std::filesystem::remove_all(folder_); }

  void StartBrokerWith(std::vector<std::string> config) {
    BrokerOptions options;
    options.jetstream = false;  // which wants a system account, where accounts come as JWTs
    options.extra_config = std::move(config);
    StartBroker(std::move(options));
    ASSERT_NE(broker_, nullptr);
  }
  std::string WriteFile(const std::string& name, absl::string_view text) {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }

  // Whether a message goes out and comes back: the broker refuses some only after they connected.
  absl::Status LogIn(NatsOptions options) {
    if (broker_ == nullptr) return absl::InternalError("no broker");
    options.urls = {broker_->url()};
    return LogInAt(std::move(options));
  }
  absl::Status LogInAt(NatsOptions options) {
    options.connect_timeout = absl::Seconds(20);  // a slow machine is no refusal
    const auto bus = NatsConnection::Connect(std::move(options));
    if (!bus.ok()) return bus.status();
    const auto echo = Echo(**bus, "echo");
    return Ask(**bus, "echo", "hello").status();
  }

  std::string folder_;
};

TEST_F(NatsLoginTest, TheSeedOfAKnownNkeyIsTaken) {
  const Nkey user(Nkey::Kind::kUser);
  StartBrokerWith({absl::StrCat("authorization { users: [ { nkey: ", user.public_key(), " } ] }")});
  NatsOptions options;
  options.nkey_seed_file = WriteFile("bare.nk", user.seed());
  EXPECT_EQ(LogIn(options), absl::OkStatus());
  options.nkey_seed_file =
      WriteFile("decorated.nk", absl::StrCat("-----BEGIN USER NKEY SEED-----\n", user.seed(),
                                             "\n------END USER NKEY SEED------\n"));
  EXPECT_EQ(LogIn(options), absl::OkStatus());
}

TEST_F(NatsLoginTest, AnUnknownNkeyIsRefused) {
  const Nkey known(Nkey::Kind::kUser);
  const Nkey unknown(Nkey::Kind::kUser);
  StartBrokerWith(
      {absl::StrCat("authorization { users: [ { nkey: ", known.public_key(), " } ] }")});
  NatsOptions options;
  options.nkey_seed_file = WriteFile("unknown.nk", unknown.seed());
  const absl::Status refused = LogIn(options);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr(broker_->url()));
  EXPECT_THAT(refused.ToString(), Not(HasSubstr(unknown.seed())));
  EXPECT_EQ(LogIn({}).code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(NatsLoginTest, WhatIsNoSeedIsToldWithoutAskingTheBroker) {
  StartBrokerWith({});
  const Nkey account(Nkey::Kind::kAccount);
  const Nkey user(Nkey::Kind::kUser);
  const struct {
    std::string file;
    absl::StatusCode code;
    const char* text;
  } rows[] = {
      {"/nowhere/user.nk", absl::StatusCode::kNotFound, "cannot read the nkey seed file /nowhere"},
      {WriteFile("a.nk", account.seed()), absl::StatusCode::kInvalidArgument, "no seed of a user"},
      {WriteFile("b.nk", user.public_key()), absl::StatusCode::kInvalidArgument,
       "no seed of a user"},
      {WriteFile("c.nk", Credentials(UserJwt(account, user), user)),
       absl::StatusCode::kInvalidArgument, "it is a credentials file"},
  };
  for (const auto& [file, code, text] : rows) {
    NatsOptions options;
    options.nkey_seed_file = file;
    const absl::Status refused = LogIn(options);
    EXPECT_EQ(refused.code(), code) << refused;
    EXPECT_THAT(refused.ToString(), HasSubstr(text));
    EXPECT_THAT(refused.ToString(), HasSubstr(file));
  }
}

// ---------------------------------------------------------------- JWTs

// A broker that trusts one operator, who vouches for one account.
class NatsJwtLoginTest : public NatsLoginTest {
 protected:
  void SetUp() override {
    StartBrokerWith({absl::StrCat("operator: ", OperatorJwt(operator_)), "resolver: MEMORY",
                     absl::StrCat("resolver_preload: { ", account_.public_key(), ": ",
                                  AccountJwt(operator_, account_), " }")});
  }
  absl::Status LogInWith(const std::string& credentials) {
    NatsOptions options;
    options.credentials_file = WriteFile("user.creds", credentials);
    return LogIn(options);
  }

  const Nkey operator_{Nkey::Kind::kOperator};
  const Nkey account_{Nkey::Kind::kAccount};
  const Nkey user_{Nkey::Kind::kUser};
};

TEST_F(NatsJwtLoginTest, CredentialsOfTheAccountAreTaken) {
  EXPECT_EQ(LogInWith(Credentials(UserJwt(account_, user_), user_)), absl::OkStatus());
}

TEST_F(NatsJwtLoginTest, OtherCredentialsAreRefused) {
  const Nkey stranger(Nkey::Kind::kAccount);
  const Nkey other_user(Nkey::Kind::kUser);
  const std::string refused[] = {
      Credentials(UserJwt(stranger, user_), user_),       // an account that nobody vouches for
      Credentials(UserJwt(account_, user_), other_user),  // a JWT without its secret
      Credentials("e30.e30.e30", user_),
  };
  for (const std::string& credentials : refused) {
    const absl::Status status = LogInWith(credentials);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_THAT(status.ToString(), Not(HasSubstr(user_.seed())));
  }
  EXPECT_EQ(LogIn({}).code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(NatsJwtLoginTest, WhatIsNoCredentialsFileIsNamed) {
  NatsOptions options;
  options.credentials_file = "/nowhere/user.creds";
  EXPECT_EQ(LogIn(options),
            absl::NotFoundError("cannot read the credentials file /nowhere/user.creds"));
  options.credentials_file = WriteFile("junk.creds", "junk");
  EXPECT_EQ(LogIn(options),
            absl::InvalidArgumentError(
                absl::StrCat(options.credentials_file, " holds no JWT with the seed of its user")));
}

// ---------------------------------------------------------------- TLS

class NatsTlsLoginTest : public NatsLoginTest {
 protected:
  void StartTlsBroker(const CertificateAuthority::Issued& certificate, bool verify_clients) {
    StartBrokerWith(
        {absl::StrCat("tls { cert_file: \"", certificate.cert_file, "\", key_file: \"",
                      certificate.key_file, "\", ca_file: \"", ca_.ca_file(),
                      "\", verify: ", verify_clients ? "true" : "false", ", timeout: 20 }")});
  }
  absl::Status LogInAs(const std::string& ca_file,
                       const CertificateAuthority::Issued& certificate) {
    NatsOptions options;
    options.tls_ca_file = ca_file;
    options.tls_cert_file = certificate.cert_file;
    options.tls_key_file = certificate.key_file;
    return LogIn(options);
  }

  const CertificateAuthority ca_{folder_, "ca"};
  const CertificateAuthority other_ca_{folder_, "other"};
  const CertificateAuthority::Issued server_ = ca_.Issue("server", "DNS:localhost,IP:127.0.0.1");
};

TEST_F(NatsTlsLoginTest, TheBrokersCertificateIsCheckedWithTheCaFile) {
  StartTlsBroker(server_, /*verify_clients=*/false);
  EXPECT_EQ(LogInAs(ca_.ca_file(), {}), absl::OkStatus());
  for (const char* scheme : {"nats", "tls"}) {
    for (const char* host : {"127.0.0.1", "localhost"}) {
      NatsOptions options;
      options.urls = {absl::StrCat(scheme, "://", host, ":", broker_->port())};
      options.tls_ca_file = ca_.ca_file();
      EXPECT_EQ(LogInAt(options), absl::OkStatus()) << options.urls[0];
    }
  }
}

TEST_F(NatsTlsLoginTest, ABrokerThatNobodyVouchesForIsRefused) {
  StartTlsBroker(server_, /*verify_clients=*/false);
  // Without a CA file the system's authorities count, which do not know this one either.
  for (const std::string& ca_file : {other_ca_.ca_file(), std::string()}) {
    const absl::Status refused = LogInAs(ca_file, {});
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(refused.ToString(), HasSubstr(broker_->url()));
    EXPECT_THAT(refused.ToString(), HasSubstr("unable to get local issuer certificate"));
  }
}

TEST_F(NatsTlsLoginTest, ABrokerWithAnotherHostsCertificateIsRefused) {
  StartTlsBroker(ca_.Issue("elsewhere", "DNS:elsewhere.example"), /*verify_clients=*/false);
  const absl::Status refused = LogInAs(ca_.ca_file(), {});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr("mismatch"));
}

TEST_F(NatsTlsLoginTest, ABrokerThatAsksForAClientCertificateGetsIt) {
  StartTlsBroker(server_, /*verify_clients=*/true);
  EXPECT_EQ(LogInAs(ca_.ca_file(), ca_.Issue("client", "DNS:client")), absl::OkStatus());
}

TEST_F(NatsTlsLoginTest, AClientWithoutTheRightCertificateIsToldSo) {
  StartTlsBroker(server_, /*verify_clients=*/true);
  const CertificateAuthority::Issued strangers = other_ca_.Issue("client", "DNS:client");
  for (const auto& certificate : {CertificateAuthority::Issued(), strangers}) {
    const absl::Status refused = LogInAs(ca_.ca_file(), certificate);
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated) << refused;
    EXPECT_THAT(refused.ToString(), HasSubstr("client certificate"));
  }
}

TEST_F(NatsTlsLoginTest, MessagesOfEverySizePassAndAConnectionComesBack) {
  StartTlsBroker(server_, /*verify_clients=*/true);
  const CertificateAuthority::Issued client = ca_.Issue("client", "DNS:client");
  NatsOptions options;
  options.tls_ca_file = ca_.ca_file();
  options.tls_cert_file = client.cert_file;
  options.tls_key_file = client.key_file;
  const auto bus = Connect(options);
  ASSERT_NE(bus, nullptr);
  const auto echo = Echo(*bus, "echo");
  // A TLS record holds 16 KiB: larger messages come in several, small ones several in one read.
  for (const size_t size : {0, 1, 16'383, 16'384, 16'385, 100'000, 1'000'000}) {
    const auto reply = Ask(*bus, "echo", std::string(size, 'x'));
    ASSERT_TRUE(reply.ok()) << size << ": " << reply.status();
    EXPECT_EQ(reply->size(), size);
  }
  std::vector<Result<absl::StatusOr<InboundMessage>>> results(1000);
  for (auto& result : results) {
    bus->Request({.subject = "echo", .payload = std::string(500, 'x')}, absl::Seconds(30),
                 result.Callback());
  }
  for (auto& result : results) EXPECT_TRUE(result.Get().ok()) << result.Get().status();

  ASSERT_TRUE(broker_->Kill(SIGKILL).ok());
  ASSERT_TRUE(broker_->Restart().ok());
  EXPECT_TRUE(WaitUntil([&] { return Ask(*bus, "echo", "x", absl::Seconds(5)).ok(); }));
}

TEST_F(NatsTlsLoginTest, ABrokerWithoutTlsIsRefused) {
  StartBrokerWith({});
  const absl::Status refused = LogInAs(ca_.ca_file(), {});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr("Secure Connection not available"));
}

TEST_F(NatsTlsLoginTest, FilesThatCannotWorkAreNamed) {
  StartTlsBroker(server_, /*verify_clients=*/true);
  const CertificateAuthority::Issued client = ca_.Issue("client", "DNS:client");
  const struct {
    std::string ca_file;
    CertificateAuthority::Issued certificate;
    std::string named;
  } rows[] = {
      {"/nowhere/ca.pem", {}, "/nowhere/ca.pem"},
      {client.key_file, {}, client.key_file},
      {ca_.ca_file(), {.cert_file = client.cert_file, .key_file = ""}, client.cert_file},
      {ca_.ca_file(), {.cert_file = client.cert_file, .key_file = server_.key_file}, "mismatch"},
  };
  for (const auto& [ca_file, certificate, named] : rows) {
    const absl::Status refused = LogInAs(ca_file, certificate);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
    EXPECT_THAT(refused.ToString(), HasSubstr(named));
  }
}

// ---------------------------------------------------------------- what the environment gives

// Sets variables of the process, and takes them back.
class NatsEnvironmentLoginTest : public NatsJwtLoginTest {
 protected:
  void SetUp() override {
    NatsJwtLoginTest::SetUp();
    Set("XDG_CONFIG_HOME", folder_);
    credentials_file_ = WriteFile("env.creds", Credentials(UserJwt(account_, user_), user_));
  }
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }
  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  absl::Status LogInFromEnvironment() {
    const absl::StatusOr<NatsOptions> options = WithEnvironment({}, /*urls_given=*/false);
    return options.ok() ? LogInAt(*options) : options.status();
  }

  std::string credentials_file_;
  std::vector<std::string> set_;
};

TEST_F(NatsEnvironmentLoginTest, VariablesNameBrokerAndCredentials) {
  Set("NATS_URL", broker_->url());
  EXPECT_EQ(LogInFromEnvironment().code(), absl::StatusCode::kUnauthenticated);
  Set("NATS_CREDS", credentials_file_);
  EXPECT_EQ(LogInFromEnvironment(), absl::OkStatus());
}

TEST_F(NatsEnvironmentLoginTest, TheSelectedContextNamesBrokerAndCredentials) {
  WriteFile("nats/context/prod.json", absl::StrCat(R"({"url":")", broker_->url(), R"(","creds":")",
                                                   credentials_file_, R"("})"));
  WriteFile("nats/context.txt", "prod");
  EXPECT_EQ(LogInFromEnvironment(), absl::OkStatus());
}

TEST_F(NatsEnvironmentLoginTest, ANamedContextGoesBeforeTheSelectedOne) {
  WriteFile("nats/context/prod.json", absl::StrCat(R"({"url":")", broker_->url(), R"(","creds":")",
                                                   credentials_file_, R"("})"));
  WriteFile("nats/context/none.json", absl::StrCat(R"({"url":")", broker_->url(), R"("})"));
  WriteFile("nats/context.txt", "none");
  EXPECT_EQ(LogInFromEnvironment().code(), absl::StatusCode::kUnauthenticated);
  Set("NATS_CONTEXT", "prod");
  EXPECT_EQ(LogInFromEnvironment(), absl::OkStatus());
}

TEST_F(NatsEnvironmentLoginTest, VariablesNameTheNkeySeed) {
  StartBrokerWith(
      {absl::StrCat("authorization { users: [ { nkey: ", user_.public_key(), " } ] }")});
  Set("NATS_URL", broker_->url());
  Set("NATS_NKEY", WriteFile("user.nk", user_.seed()));
  EXPECT_EQ(LogInFromEnvironment(), absl::OkStatus());
}

TEST_F(NatsEnvironmentLoginTest, VariablesNameTheCertificates) {
  const CertificateAuthority ca(folder_, "ca");
  const CertificateAuthority::Issued server = ca.Issue("server", "IP:127.0.0.1");
  const CertificateAuthority::Issued client = ca.Issue("client", "DNS:client");
  StartBrokerWith(
      {absl::StrCat("tls { cert_file: \"", server.cert_file, "\", key_file: \"", server.key_file,
                    "\", ca_file: \"", ca.ca_file(), "\", verify: true, timeout: 20 }")});
  Set("NATS_URL", broker_->url());
  Set("NATS_CA", ca.ca_file());
  EXPECT_EQ(LogInFromEnvironment().code(), absl::StatusCode::kUnauthenticated);
  Set("NATS_CERT", client.cert_file);
  Set("NATS_KEY", client.key_file);
  EXPECT_EQ(LogInFromEnvironment(), absl::OkStatus());
}

}  // namespace
}  // namespace varpulis::transport
