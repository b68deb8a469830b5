"""`hub certs dev`: what it makes can be verified and is enough, and what is there is left alone."""

from __future__ import annotations

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.certificates import CA_LIFETIME, LIFETIME, Authority, Pair, expires
from hub.cli.certs.dev import WANTED
from tests.commands import run
from tests.documents import ROOT
from tests.servers import nats_server_binary

NAMES = [f"{owner}{end}.pem" for owner in ("ca", *WANTED) for end in ("", "-key")]


def verified(folder: Path, name: str, *arguments: str) -> bool:
    """What OpenSSL says, strictly."""
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.pem"), *arguments, str(folder / name)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_certificates_are_good_for_their_purpose_and_hosts_alone(tmp_path: Path) -> None:
    done = run("certs", "dev", str(tmp_path / "made"), "--host", "nats.example", "--host", "10.1.2.3", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    folder = tmp_path / "made"
    assert sorted(made["files"]) == sorted(NAMES) == sorted(path.name for path in folder.iterdir())
    assert made["hosts"] == ["localhost", "127.0.0.1", "::1", "nats.example", "10.1.2.3"]
    for name in ("nats.pem", "hub.pem"):
        for host in ("localhost", "nats.example"):
            assert verified(folder, name, "-purpose", "sslserver", "-verify_hostname", host)
        for address in ("127.0.0.1", "::1", "10.1.2.3"):
            assert verified(folder, name, "-verify_ip", address)
        assert not verified(folder, name, "-verify_hostname", "other.example")
    assert verified(folder, "client.pem", "-purpose", "sslclient")
    assert not verified(folder, "client.pem", "-purpose", "sslserver")


def test_keys_are_for_their_owner_alone_and_lifetimes_are_bounded(tmp_path: Path) -> None:
    assert run("certs", "dev", str(tmp_path)).returncode == 0
    now = datetime.now(UTC)
    for name in NAMES:
        mode = stat.S_IMODE((tmp_path / name).stat().st_mode)
        assert mode == 0o600 if name.endswith("-key.pem") else mode & 0o022 == 0, name
    for name, lifetime in (("ca.pem", CA_LIFETIME), ("nats.pem", LIFETIME), ("client.pem", LIFETIME)):
        assert timedelta() <= now + lifetime - expires((tmp_path / name).read_bytes()) < timedelta(minutes=2), name


def test_what_is_there_is_replaced_only_by_force_and_by_the_same_ca(tmp_path: Path) -> None:
    assert run("certs", "dev", str(tmp_path)).returncode == 0
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    refused = run("certs", "dev", str(tmp_path))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert before == {name: (tmp_path / name).read_bytes() for name in NAMES}
    assert run("certs", "dev", str(tmp_path), "--force", "--host", "new.example").returncode == 0
    assert (tmp_path / "ca.pem").read_bytes() == before["ca.pem"]
    assert (tmp_path / "hub.pem").read_bytes() != before["hub.pem"]
    assert verified(tmp_path, "hub.pem", "-verify_hostname", "new.example")


def test_a_ca_that_ends_before_what_it_would_sign_is_replaced(tmp_path: Path) -> None:
    old = Authority.fresh("old", datetime.now(UTC), LIFETIME - timedelta(days=1)).pair
    (tmp_path / "ca.pem").write_bytes(old.cert)
    (tmp_path / "ca-key.pem").write_bytes(old.key)
    assert run("certs", "dev", str(tmp_path), "--force").returncode == 0
    assert (tmp_path / "ca.pem").read_bytes() != old.cert
    assert verified(tmp_path, "hub.pem")


@pytest.mark.parametrize("host", ["", "a b", "https://x", "x" * 300, "1.2.3.4/24"])
def test_a_host_that_is_none_is_wrong_usage(tmp_path: Path, host: str) -> None:
    refused = run("certs", "dev", str(tmp_path / "none"), "--host", host)
    assert refused.returncode == 2
    assert "expected a host name or an IP address" in " ".join(refused.stderr.split())
    assert not (tmp_path / "none").exists()


def test_a_key_of_another_certificate_makes_no_ca() -> None:
    one, other = (Authority.fresh("some", datetime.now(UTC)).pair for _ in range(2))
    with pytest.raises(ValueError, match="not that of the certificate"):
        Authority(Pair(one.cert, other.key))


def test_the_example_of_a_cluster_is_taken_by_nats_server_with_what_is_made(tmp_path: Path) -> None:
    assert run("certs", "dev", str(tmp_path / "certs"), "--host", "nats-1.example").returncode == 0
    example = ROOT / "deploy" / "nats" / "cluster-tls.conf"
    done = subprocess.run(
        [nats_server_binary(), "-t", "-c", str(example)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
