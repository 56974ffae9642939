"""Where a token may go: the rule of sfcred's own host check, in Python.

A URL is refused if two programs could read it differently, since one of them
would check it and another one connect (RFC 3986 section 7.4). Neither
urllib.parse nor the parsers of requests, httpx and aiohttp are asked: each
mends other mistakes. What passes here they all read alike.

The same table of cases tests this and the rule in Go: helper/testdata/hosts.json.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple, Optional, Sequence, Tuple

from .errors import HostNotAllowed


_PORTS = {"https": 443, "http": 80}


class Origin(NamedTuple):
    """What is connected to. Names are in lower case, addresses canonical."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


class _Entry(NamedTuple):
    """One of a profile's hosts; no port means any."""

    name: str
    wildcard: bool
    port: Optional[int]


# Blanks, backslashes, control and non-ASCII characters are refused everywhere,
# and in path and fragment a percent sign that encodes nothing, as sfcred does.
_URL = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://"
    r"(?P<authority>[!\"$-.0->@-\[\]-~]+)"
    r"(?:/[!\"$&->@-\[\]-~]*(?:%[0-9A-Fa-f]{2}[!\"$&->@-\[\]-~]*)*)?"
    r"(?:\?[!\"$-\[\]-~]*)?"
    r"(?:\#[!-$&-\[\]-~]*(?:%[0-9A-Fa-f]{2}[!-$&-\[\]-~]*)*)?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IPV4 = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")


def check(entries: Sequence[str], url: str) -> Origin:
    """The origin of url, if it is one of a profile's hosts; else HostNotAllowed."""
    origin = parse(url)
    for entry in _parse_entries(tuple(entries)):
        if _matches(entry, origin):
            return origin
    listed = ", ".join(entries) or "there are none"
    raise HostNotAllowed(f"no token for {origin}: it is not among the profile's hosts ({listed})")


def parse(url: str) -> Origin:
    """The origin of an absolute URL that there is but one way to read.

    Only https, and http to loopback: who asks for another one gets HostNotAllowed,
    before anybody is asked for a token.
    """
    match = _URL.fullmatch(url)
    if match is None:
        reason = "not an https URL that all read alike"
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url) is None:
            reason = "a relative URL: give the whole one, https://HOST/..."
        raise HostNotAllowed(f"no token for {_shown(url)}: {reason}")
    try:
        return _origin(match["scheme"].lower(), match["authority"])
    except ValueError as problem:
        reason = str(problem)
    raise HostNotAllowed(f"no token for {_shown(url)}: {reason}")


def origin(url: str) -> Optional[Origin]:
    """`parse` for a URL that is only to be compared: None for one that it refuses."""
    try:
        return parse(url)
    except HostNotAllowed:
        return None


@lru_cache(maxsize=1024)
def _origin(scheme: str, authority: str) -> Origin:
    host, port = _parse_authority(authority)
    if scheme != "https" and not _is_loopback(host):
        raise ValueError("not https")
    return Origin(scheme, host, port or _PORTS[scheme])


@lru_cache(maxsize=64)
def _parse_entries(entries: Tuple[str, ...]) -> Tuple[_Entry, ...]:
    return tuple(entry for entry in map(_parse_entry, entries) if entry is not None)


def _parse_entry(text: str) -> Optional[_Entry]:
    """One of the hosts of `sfcred token --json`. A form that is not known, of a
    later sfcred perhaps, matches nothing."""
    wildcard = text.startswith("*.")
    try:
        name, port = _parse_authority(text[2:] if wildcard else text)
    except ValueError:
        return None
    if port is None and not _is_loopback(name):
        port = 443
    return _Entry(name, wildcard, port)


def _matches(entry: _Entry, origin: Origin) -> bool:
    if entry.wildcard:
        if not origin.host.endswith("." + entry.name):
            return False
    elif origin.host != entry.name:
        return False
    return entry.port is None or entry.port == origin.port


def _parse_authority(text: str) -> Tuple[str, Optional[int]]:
    """Reads host [":" port]."""
    if "@" in text:
        raise ValueError("user info is refused")
    if "%" in text:
        raise ValueError("a percent sign in a host is refused")
    if text.startswith("["):
        address, closed, rest = text[1:].partition("]")
        if not closed:
            raise ValueError("the bracket is not closed")
        return _ipv6(address), _parse_port(rest)
    name, colon, port = text.partition(":")
    name = name.lower()
    _check_name(name)
    return name, _parse_port(colon + port)


def _parse_port(text: str) -> Optional[int]:
    """Reads ":" 1*5DIGIT, or nothing. A leading zero is refused: not all agree on it."""
    if not text:
        return None
    if not re.fullmatch(r":[1-9][0-9]{0,4}", text) or int(text[1:]) > 65535:
        raise ValueError("the port is not a number from 1 to 65535")
    return int(text[1:])


def _check_name(name: str) -> None:
    """Accepts a DNS name (RFC 1123 section 2.1), or an IPv4 address as four
    decimals. A name that ends in a number is an address to many parsers
    ("127.1", "0x7f.1"), so it must be that form."""
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("a host is letters, digits, hyphens and dots")
    if _NUMBER.fullmatch(labels[-1]) and not _is_ipv4(name):
        raise ValueError("an IPv4 address is four decimal numbers")


def _is_ipv4(name: str) -> bool:
    # The pattern comes first: Python before 3.9.5 reads "127.0.0.01".
    if not _IPV4.fullmatch(name):
        return False
    return all(int(part) < 256 for part in name.split("."))


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        address = None
    if address is None or address.ipv4_mapped is not None:
        raise ValueError("not an IPv6 address in brackets")
    return str(address)


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "::1"):
        return True
    return _is_ipv4(host) and IPv4Address(host).is_loopback


def _shown(url: str) -> str:
    """A URL as an error may show it: user info, query and fragment can hold what
    is nobody's business, and control characters harm a terminal."""
    shown = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("@")[2]
    return repr(re.sub(r"[^ -~]", "?", shown)[:100])
