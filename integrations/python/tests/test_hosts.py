"""The host rule, on the table of cases that the tests in Go read too; and the
rule together with each client: what it connects to was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import aiohttp
import httpx
import pytest
import requests

import sfcred
from sfcred import hosts

TABLE = Path(
    os.environ.get("SFCRED_TEST_HOSTS")
    or Path(__file__).resolve().parents[3] / "helper/testdata/hosts.json"
)
CASES: List[Dict[str, Any]] = json.loads(TABLE.read_text())

ANSWER = json.dumps(
    {
        "access_token": "abc.def.ghi",
        "token_type": "Bearer",
        "expires_at": "2999-01-01T00:00:00Z",
        "profile": "lab",
        "hosts": ["api.nersc.gov", "*.example.org", "127.0.0.1", "[::1]", "[2001:db8::1]"],
    }
)


def test_the_table_is_whole() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_table(case: Dict[str, Any]) -> None:
    try:
        hosts.check(case["hosts"], case["url"])
        allowed = True
    except sfcred.HostNotAllowed:
        allowed = False
    assert allowed == case["ok"]


@pytest.mark.parametrize(
    "url, origin",
    [
        ("HTTPS://API.nersc.gov", ("https", "api.nersc.gov", 443)),
        ("https://api.nersc.gov:443/x?y#z", ("https", "api.nersc.gov", 443)),
        ("http://[0:0::1]/", ("http", "::1", 80)),
        ("http://127.0.0.1:8080/", ("http", "127.0.0.1", 8080)),
    ],
)
def test_origin(url: str, origin: Sequence[object]) -> None:
    assert hosts.check(["api.nersc.gov", "[::1]", "127.0.0.1"], url) == origin


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "https://api.nersc.gov", "api.nersc.gov/", "api.nersc.gov:", "a@b", "?.nersc.gov"],
)
def test_unknown_entries_match_nothing(entry: str) -> None:
    with pytest.raises(sfcred.HostNotAllowed):
        hosts.check([entry], "https://api.nersc.gov/")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:sekret@evil.example/",
        "https://evil.example/?sekret",
        "https://evil.example/#sekret",
        "ftp://user:sekret@evil.example/",
        "https://evil.example:99999/?sekret",
        "https://evil.example/\x1b[31m?sekret",
    ],
)
def test_the_error_hides_secrets_of_the_url(url: str) -> None:
    with pytest.raises(sfcred.HostNotAllowed) as caught:
        hosts.check(["api.nersc.gov"], url)
    assert "sekret" not in str(caught.value) and "\x1b" not in str(caught.value)


class Resolved(Exception):
    """A client has looked a name up, to connect to it."""


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[List[str]]:
    """Stops every client at the door, and notes where it would have gone."""
    names: List[str] = []

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(host.decode() if isinstance(host, bytes) else str(host))
        raise socket.gaierror(f"looked up {host}")

    def connect(self: socket.socket, address: Any) -> None:
        names.append(str(address[0]))
        raise OSError("connected")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    yield names


def by_requests(url: str) -> None:
    requests.get(url, auth=sfcred.Auth())


def by_httpx(url: str) -> None:
    httpx.get(url, auth=sfcred.Auth())


def by_async_httpx(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(auth=sfcred.Auth()) as client:
            await client.get(url)

    asyncio.run(get())


def by_aiohttp(url: str) -> None:
    async def get() -> None:
        resolver = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        async with aiohttp.ClientSession(connector=resolver) as session:
            await session.get(url, headers=await sfcred.headers(url))

    asyncio.run(get())


#: The host of each entry in ANSWER, as a client names it when it connects.
ALLOWED = ("api.nersc.gov", "127.0.0.1", "::1", "2001:db8::1")


@pytest.mark.parametrize("get", [by_requests, by_httpx, by_async_httpx, by_aiohttp])
def test_what_is_connected_to_was_checked(
    bare: Any, looked_up: List[str], get: Any
) -> None:
    """Whatever a client makes of an odd URL, it goes to a host of the profile, or
    nowhere."""
    bare.answers(ANSWER)
    sfcred.token()
    reached = 0
    for url in sorted({case["url"] for case in CASES}):
        del looked_up[:]
        with pytest.raises(Exception):
            get(url)
        for name in looked_up:
            reached += 1
            name = str(ipaddress.IPv6Address(name)) if ":" in name else name
            assert name in ALLOWED or name.endswith(".example.org"), url
    assert reached > 10
    assert len(bare.runs()) == 1
