"""Certificates in files of their own: read, kept while they are renewed, looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynbalancer import pem
from dynbalancer.core.model import Certificate
from dynbalancer_file import certificates
from dynbalancer_file.certificates import CertificateFiles

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(days: int = 90) -> Certificate:
    """A certificate for a.example that lasts so long."""
    return pem.self_signed("a.example", ["a.example"], life=timedelta(days=days), now=NOW)


FIRST, SECOND, LATE = made(), made(), made(-1)


def written(directory: Path, certificate: Certificate) -> None:
    """The certificate as a.pem and a.key."""
    (directory / "a.pem").write_text(certificate.chain)
    (directory / "a.key").write_text(certificate.key)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    """A reader of a directory with one pair in it."""
    written(tmp_path, FIRST)
    return CertificateFiles(str(tmp_path), NOW.timestamp)


def test_paths_begin_in_the_directory_of_the_document(files: CertificateFiles, tmp_path: Path) -> None:
    found, problems = files.read("a.pem", str(tmp_path / "a.key"))
    assert found is not None
    assert (found.chain, found.key, problems) == (FIRST.chain, FIRST.key, ())
    assert set(files.paths) == {str(tmp_path / "a.pem"), str(tmp_path / "a.key")}


def test_texts_are_taken_as_they_are(files: CertificateFiles) -> None:
    found, problems = files.read(FIRST.chain, FIRST.key)
    assert (found is not None, problems, files.paths, files.signature()) == (True, (), {}, b"")
    assert FIRST.key not in repr(files)


@pytest.mark.parametrize(
    "chain, key, said",
    [
        ("none.pem", "a.key", "none.pem can't be read: no such file or directory"),
        ("a.pem", ".", ". can't be read: is a directory"),
        ("a.pem", "a.der", "a.der is not in PEM format; convert it from DER"),
        ("a.pem", "a.pem", "the key can't be read"),
        ("a.pem", "nul\0l", "can't be read"),
    ],
)
def test_a_pair_that_cannot_be_used_says_why(
    files: CertificateFiles, tmp_path: Path, chain: str, key: str, said: str
) -> None:
    (tmp_path / "a.der").write_bytes(b"\x30\x82\xff")
    found, (problem,) = files.read(chain, key)
    assert found is None
    assert (said in f"{problem.why}; {problem.hint}", problem.severity) == (True, "error")


def test_a_key_that_is_taken_for_a_path_is_not_shown(files: CertificateFiles) -> None:
    lost = "".join(FIRST.key.splitlines()[1:-1])
    _, (problem,) = files.read("a.pem", lost)
    assert lost[20:] not in str(problem)
    assert files.directories()


def test_an_expired_certificate_is_left_out_with_a_warning(files: CertificateFiles, tmp_path: Path) -> None:
    written(tmp_path, LATE)
    found, (problem,) = files.read("a.pem", "a.key")
    assert found is None
    assert problem.why == "the certificate for a.example expired on 2025-12-31"
    assert problem.severity == "warning"


def test_half_renewed_pair_keeps_what_was_read_before(files: CertificateFiles, tmp_path: Path) -> None:
    before, _ = files.read("a.pem", "a.key")
    (tmp_path / "a.pem").write_text(SECOND.chain)
    for _ in range(2):
        files.begin()
        found, (problem,) = files.read("a.pem", "a.key")
        assert found is before
        assert "the certificate for a.example that was read before stays" in problem.why
        assert problem.severity == "warning"
    (tmp_path / "a.key").write_text(SECOND.key)
    files.begin()
    found, problems = files.read("a.pem", "a.key")
    assert found is not None
    assert (found.chain, problems) == (SECOND.chain, ())


def test_files_that_did_not_change_are_not_read_again(
    files: CertificateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(path: str) -> bytes:
        read.append(path)
        return Path(path).read_bytes()

    monkeypatch.setattr(certificates, "read_file", noted)
    before, _ = files.read("a.pem", "a.key")
    files.begin()
    assert files.read("a.pem", "a.key") == (before, ())
    assert len(read) == 2
    written(tmp_path, SECOND)
    files.begin()
    found, _ = files.read("a.pem", "a.key")
    assert found is not None
    assert (found.chain, len(read)) == (SECOND.chain, 4)


def test_a_pair_that_is_named_no_more_is_forgotten(files: CertificateFiles, tmp_path: Path) -> None:
    files.read("a.pem", "a.key")
    files.begin()
    files.begin()
    (tmp_path / "a.key").unlink()
    assert files.read("a.pem", "a.key")[0] is None


def test_signature_differs_as_soon_as_a_file_does(files: CertificateFiles, tmp_path: Path) -> None:
    files.read("a.pem", "a.key")
    assert files.signature() == files.signature_when_read() != b""
    (tmp_path / "new").write_text(FIRST.key)
    (tmp_path / "new").rename(tmp_path / "a.key")
    assert files.signature() != files.signature_when_read()
    (tmp_path / "a.key").unlink()
    assert files.signature() != files.signature_when_read()


def test_directories_are_those_of_links_and_of_what_they_lead_to(tmp_path: Path) -> None:
    archive, live = tmp_path / "archive", tmp_path / "live"
    archive.mkdir()
    live.mkdir()
    written(archive, FIRST)
    for name in ("a.pem", "a.key"):
        (live / name).symlink_to(archive / name)
    files = CertificateFiles(str(live), NOW.timestamp)
    assert files.read("a.pem", "a.key")[0] is not None
    assert files.directories() == {str(archive), str(live)}
