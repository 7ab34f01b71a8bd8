"""Certificates: issued by the site's CA or by a stranger's, good and bad."""
import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def days(n):
    return datetime.timedelta(days=n)


class Certificate:
    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()

    def write(self, folder, name, chain=()):
        """Writes name.pem (the chain behind it) and name-key.pem; returns both paths."""
        folder = Path(folder)
        cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        cert.write_text(self.pem + "".join(c.pem for c in chain))
        key.write_text(self.key_pem)
        key.chmod(0o600)
        return cert, key

    def issue(self, cn=None, *, usage=(CLIENT,), names=(), not_before=None, not_after=None, ca=False, subject=None):
        """A certificate signed by this one. usage=None leaves the extended key usage out; subject: an x509.Name instead of cn."""
        key = ec.generate_private_key(ec.SECP256R1())
        if subject is None:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
        return Certificate(_build(subject, self.certificate.subject, key, self.key, usage, names, not_before, not_after, ca), key)


def _build(subject, issuer, key, issuer_key, usage, names, not_before, not_after, ca):
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(not_before or now() - days(1)).not_valid_after(not_after or now() + days(30))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usage)), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def new_ca(name="a stranger's CA"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return Certificate(_build(subject, subject, key, key, None, (), None, now() + days(300), True), key)


def load(cert_path, key_path):
    return Certificate(x509.load_pem_x509_certificate(Path(cert_path).read_bytes()),
                       serialization.load_pem_private_key(Path(key_path).read_bytes(), None))


def dns(name):
    return x509.DNSName(name)


def email(name):
    return x509.RFC822Name(name)


def uri(name):
    return x509.UniformResourceIdentifier(name)


def ip(text):
    return x509.IPAddress(ipaddress.ip_address(text))
