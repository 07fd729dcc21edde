"""What the texts of settings say, and which say nothing."""

from __future__ import annotations

import pytest

from dynbalancer.start import flagvalues


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True", "yes", "on", ""])
def test_true(text: str) -> None:
    assert flagvalues.boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "no", "off"])
def test_false(text: str) -> None:
    assert flagvalues.boolean(text) is False


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is neither true nor false"):
        flagvalues.boolean("maybe")


@pytest.mark.parametrize(
    "text, expected",
    [
        (":80", ("", 80)),
        ("80", ("", 80)),
        ("*:80", ("", 80)),
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("localhost:1", ("localhost", 1)),
        ("[::1]:443", ("::1", 443)),
        ("[2001:db8:0::1]:443", ("2001:db8::1", 443)),
        (":80/tcp", ("", 80)),
        (":0", ("", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert flagvalues.address(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", "http", ":http", ":65536", "::1:80", ":80/udp", "a b:80", "[x]:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        flagvalues.address(text)


@pytest.mark.parametrize("text, expected", [("auto", -1), ("AUTO", -1), ("0", 0), ("4", 4)])
def test_workers(text: str, expected: int) -> None:
    assert flagvalues.workers(text) == expected


@pytest.mark.parametrize(
    "convert, text",
    [
        (flagvalues.workers, "-1"),
        (flagvalues.workers, "many"),
        (flagvalues.size, "1.5"),
        (flagvalues.count, "0"),
        (flagvalues.whole, "x"),
        (flagvalues.network, "10.0.0.0/33"),
        (flagvalues.network, "example.com"),
        (flagvalues.level, "loud"),
    ],
)
def test_other_wrong_values_are_named(convert: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        convert(text)  # type: ignore[operator]


def test_other_values() -> None:
    assert flagvalues.size("32k") == 32768
    assert flagvalues.size("1M") == 1048576
    assert flagvalues.network("10.1.2.3/8") == "10.0.0.0/8"
    assert flagvalues.network("192.0.2.1") == "192.0.2.1/32"
    assert flagvalues.level("WARNING") == "warn"
    assert flagvalues.level("FATAL") == "critical"
    assert flagvalues.whole("-3") == -3


@pytest.mark.parametrize(
    "text, expected", [("/dev/stdout", ""), ("", ""), ("/var/log/a.log", "/var/log/a.log")]
)
def test_standard_output_is_no_file(text: str, expected: str) -> None:
    assert flagvalues.log_path(text) == expected


@pytest.mark.parametrize(
    ("text", "path"), [("/", ""), ("", ""), ("/traefik", "/traefik"), ("/a/b/", "/a/b"), (" /x ", "/x")]
)
def test_a_path_that_the_api_is_below(text: str, path: str) -> None:
    assert flagvalues.base_path(text) == path


@pytest.mark.parametrize("text", ["traefik", "/a//b", "/a`b", "/a b", "http://a"])
def test_what_is_no_such_path(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        flagvalues.base_path(text)
