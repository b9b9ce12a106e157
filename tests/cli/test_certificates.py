"""The quick-start CA: who a certificate is for, what it may be used for, who may read its key."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cli.certificates import CertificateError, Role, create_ca, issue, read_facts
from cli.main import main
from collector.receive.identity import Identity, identity_of
from collector.receive.identity import Role as PeerRole


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    create_ca(tmp_path / "pki")
    return tmp_path / "pki"


@pytest.mark.parametrize("role", list(Role))
def test_a_certificate_names_one_role_and_may_be_used_for_it_only(ca: Path, role: Role) -> None:
    files = issue(ca, role, "name-1", ("10.0.0.1", "c.example") if role is Role.COLLECTOR else ())
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    server = role is Role.COLLECTOR
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.public_key().curve.name == "secp256r1"  # type: ignore[union-attr]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))
    expected = None if server else Identity(PeerRole(role.value), "name-1")
    assert identity_of(files.certificate.read_bytes()) == expected
    facts = read_facts(files.certificate)
    assert facts.role == role
    assert facts.names == (f"vedette://{role}/name-1", *(("10.0.0.1", "c.example") if server else ()))


def test_keys_are_readable_by_their_owner_only(ca: Path) -> None:
    files = issue(ca, Role.AGENT, "n")
    assert {path.stat().st_mode & 0o777 for path in (files.key, ca / "ca.key")} == {0o600}
    assert ca.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "x" * 64, "-a", "ca", "é"])
def test_names_that_could_be_paths_or_lies_are_refused(ca: Path, name: str) -> None:
    with pytest.raises(CertificateError, match="use 1 to 63 letters"):
        issue(ca, Role.AGENT, name)


def test_a_name_belongs_to_one_role_and_may_be_issued_again(ca: Path) -> None:
    first = issue(ca, Role.AGENT, "n").certificate.read_bytes()
    assert issue(ca, Role.AGENT, "n").certificate.read_bytes() != first
    with pytest.raises(CertificateError, match="belongs to a agent already"):
        issue(ca, Role.READER, "n")


def test_a_ca_is_never_replaced(ca: Path) -> None:
    with pytest.raises(CertificateError, match="has a CA already"):
        create_ca(ca)


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_peer_without_a_certificate_is_nobody(pem: bytes) -> None:
    assert identity_of(pem) is None


def test_the_command_prints_options_to_use_and_no_secret(tmp_path: Path) -> None:
    run = CliRunner().invoke
    directory = str(tmp_path / "p")
    outputs = [
        run(main, ["pki", "init", directory]),
        run(main, ["pki", "issue-agent", "node-1", "--dir", directory]),
        run(main, ["pki", "issue-collector", "c", "--host", "127.0.0.1", "--dir", directory]),
        run(main, ["pki", "issue-reader", "siem", "--dir", directory]),
        run(main, ["pki", "show", directory]),
    ]
    assert [o.exit_code for o in outputs] == [0] * 5
    assert outputs[1].output == f"--cert {directory}/node-1.crt --key {directory}/node-1.key --ca {directory}/ca.crt\n"
    assert "vedette://reader/siem" in outputs[4].output
    assert not any("PRIVATE" in o.output for o in outputs)
    failed = run(main, ["pki", "issue-agent", "x", "--dir", str(tmp_path / "none")])
    assert (failed.exit_code, "vedette pki init" in failed.output) == (1, True)
