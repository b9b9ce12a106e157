"""The quick-start CA: ECDSA P-256 certificates for agents, collectors and readers.

Identities are URIs in the subject alternative name, `vedette://<role>/<name>`; the collector trusts nothing else.
"""

import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_BACKDATE = datetime.timedelta(minutes=5)  # clocks differ
CA_DAYS = 3650
DAYS = 397


class CertificateError(Exception):
    """What, where, and what to do."""


class Role(StrEnum):
    """What a certificate is for."""

    AGENT = "agent"
    COLLECTOR = "collector"
    READER = "reader"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Files:
    """An issued certificate, its key (mode 0600) and the CA to verify the other side with."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says; nothing secret."""

    subject: str
    role: str
    names: tuple[str, ...]
    issuer: str
    not_after: datetime.datetime
    fingerprint: str


def create_ca(directory: Path, name: str = "Vedette CA") -> Path:
    """Make `ca.crt` and `ca.key`; the certificate's path. Raises: CertificateError when there is one already."""
    certificate_path, key_path = directory / "ca.crt", directory / "ca.key"
    if certificate_path.exists() or key_path.exists():
        raise CertificateError(f"{directory} has a CA already; choose another directory, or issue from this one")
    _make_directory(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, key.public_key(), CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(ca=True), critical=True)
    _write(key_path, _key_pem(key), 0o600)
    _write(certificate_path, _pem(builder.sign(key, hashes.SHA256())), 0o644)
    return certificate_path


def issue(directory: Path, role: Role, name: str, hosts: Sequence[str] = (), days: int = DAYS) -> Files:
    """A certificate `<name>.crt` with its key, signed by the directory's CA.

    `hosts` are DNS names and addresses of a collector. An existing one of that name and role is replaced.
    Raises: CertificateError.
    """
    if not _NAME.fullmatch(name) or name == "ca":
        raise CertificateError(f"name {name!r}: use 1 to 63 letters, digits, '.', '_' or '-'")
    files = Files(directory / f"{name}.crt", directory / f"{name}.key", directory / "ca.crt")
    if files.certificate.exists() and (other := read_facts(files.certificate).role) != role:
        raise CertificateError(f"{files.certificate} belongs to a {other} already; choose another name")
    if role is Role.COLLECTOR and not hosts:
        raise CertificateError(f"collector {name}: give --host at least once, the names agents connect to")
    ca, ca_key = _load_ca(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _leaf(_builder(subject, ca.subject, key.public_key(), days), role, name, hosts)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(authority, critical=False)
    _write(files.key, _key_pem(key), 0o600)
    _write(files.certificate, _pem(builder.sign(ca_key, hashes.SHA256())), 0o644)
    return files


def read_facts(path: Path) -> Facts:
    """What the certificate in a PEM file says. Raises: CertificateError."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path}: no PEM certificate can be read there ({type(error).__name__})") from error
    names = _names(certificate)
    roles = [name.removeprefix("vedette://").partition("/")[0] for name in names if name.startswith("vedette://")]
    return Facts(
        subject=certificate.subject.rfc4514_string(),
        role=roles[0] if roles else "ca" if _is_ca(certificate) else "none",
        names=names,
        issuer=certificate.issuer.rfc4514_string(),
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _leaf(builder: x509.CertificateBuilder, role: Role, name: str, hosts: Sequence[str]) -> x509.CertificateBuilder:
    usage = ExtendedKeyUsageOID.SERVER_AUTH if role is Role.COLLECTOR else ExtendedKeyUsageOID.CLIENT_AUTH
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"vedette://{role}/{name}")]
    names += [_host_name(host) for host in hosts]
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(ca=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise CertificateError(f"--host {host!r}: give a DNS name or an IP address")
    return x509.DNSName(host)


def _load_ca(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
        key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(f"{directory} has no usable CA; make one with `vedette pki init {directory}`") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{directory}/ca.key: not an elliptic curve key; use a CA that `vedette pki` made")
    return certificate, key


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in found)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CertificateError(f"{directory}: {error.strerror}; choose a directory you can write") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace the file in one step; it never exists with a wider mode."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        new.replace(path)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
