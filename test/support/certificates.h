#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace varpulis::testing {

// A certificate authority of the test's own. Its files lie in a folder that the test removes.
class CertificateAuthority {
 public:
  CertificateAuthority(std::string folder, std::string name);

  struct Issued {
    std::string cert_file, key_file;
  };
  // `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
  Issued Issue(const std::string& subject, const std::string& names) const;
  const std::string& ca_file() const { return ca_file_; }

 private:
  const std::string folder_;
  const std::string name_;
  const std::string ca_file_;
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace varpulis::testing
