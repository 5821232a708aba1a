"""Certificates that are made for one test: authorities, servers, clients; valid, expired, for the wrong name."""
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass
class Issued:
    """A certificate with its key, as PEM files."""
    certificate: x509.Certificate
    key: object
    cert_file: Path
    key_file: Path

    @property
    def cert(self):
        return self.cert_file.read_bytes()

    @property
    def private(self):
        return self.key_file.read_bytes()


class Authority:
    """A certificate authority with a folder for what it issues."""

    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.name = name
        self.issued = self._make(name, None, is_authority=True)

    @property
    def cert_file(self):
        return self.issued.cert_file

    def server(self, name="server", **options):
        return self._make(name, self.issued, usage=ExtendedKeyUsageOID.SERVER_AUTH, **options)

    def client(self, name="client", **options):
        return self._make(name, self.issued, usage=ExtendedKeyUsageOID.CLIENT_AUTH, **options)

    def _make(self, name, issuer, *, is_authority=False, usage=None, expired=False, kind="ec"):
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {name}")])
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = (now - 3 * DAY, now - 2 * DAY) if expired else (now - DAY, now + 2 * DAY)
        builder = (
            x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True))
        if usage:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
        stem = f"{self.name}-{name}"
        issued = Issued(certificate, key, self.directory / f"{stem}.crt", self.directory / f"{stem}.key")
        issued.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        issued.key_file.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return issued


def fingerprint(certificate):
    """What tells a certificate from others."""
    return certificate.fingerprint(hashes.SHA256())
