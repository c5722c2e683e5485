/**
 * The one place that loads the issuing library: it needs the metadata polyfill before it, and only programs that issue certificates
 * pay for it. Reading certificates is Node's own `X509Certificate`.
 */
import "reflect-metadata";

export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as IssuedX509,
  X509CertificateGenerator,
} from "@peculiar/x509";
