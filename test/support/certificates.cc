#include "test/support/certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace varpulis::testing {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

KeyPtr NewKey() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

void Extend(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  if (extension == nullptr) std::abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Valid for an hour, not yet signed.
CertificatePtr NewCertificate(const std::string& subject, EVP_PKEY* key) {
  static long serial = 0;
  CertificatePtr certificate(X509_new(), X509_free);
  X509* const raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(raw), -60);
  X509_gmtime_adj(X509_getm_notAfter(raw), 3600);
  X509_set_pubkey(raw, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  return certificate;
}

CertificatePtr SelfSigned(const std::string& name, EVP_PKEY* key) {
  CertificatePtr certificate = NewCertificate(name, key);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  Extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(certificate.get(), key, EVP_sha256());
  return certificate;
}

template <typename Write>
void WriteFile(const std::string& path, Write write) {
  FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr || write(file) != 1 || std::fclose(file) != 0) std::abort();
}

void WriteCertificate(const std::string& path, X509* certificate) {
  WriteFile(path, [&](FILE* file) { return PEM_write_X509(file, certificate); });
}

}  // namespace

CertificateAuthority::CertificateAuthority(std::string folder, std::string name)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      ca_file_(absl::StrCat(folder_, "/", name_, ".pem")),
      key_(NewKey()),
      certificate_(SelfSigned(name_, key_.get())) {
  WriteCertificate(ca_file_, certificate_.get());
}

CertificateAuthority::Issued CertificateAuthority::Issue(const std::string& subject,
                                                         const std::string& names) const {
  const KeyPtr key = NewKey();
  const CertificatePtr certificate = NewCertificate(subject, key.get());
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  Extend(certificate.get(), NID_subject_alt_name, names);
  X509_sign(certificate.get(), key_.get(), EVP_sha256());
  const std::string path = absl::StrCat(folder_, "/", name_, "-", subject);
  Issued issued = {.cert_file = path + ".pem", .key_file = path + ".key"};
  WriteCertificate(issued.cert_file, certificate.get());
  WriteFile(issued.key_file, [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return issued;
}

}  // namespace varpulis::testing
