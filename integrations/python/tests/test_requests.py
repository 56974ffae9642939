"""Auth and session with the real requests."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, List

import pytest
import requests

import sfcred
from conftest import Demo, Machine
from servers import OK, UNAUTHORIZED, Request, Server, redirect


def bearer() -> str:
    return sfcred.token().header


def test_the_api(machine: Machine, demo: Demo) -> None:
    answer = requests.get(demo.api + "/account/", auth=sfcred.Auth())
    assert answer.json()["name"] == "ada"


def test_a_session_asks_sfcred_once(machine: Machine, demo: Demo) -> None:
    with sfcred.session() as session:
        for _ in range(5):
            assert session.get(demo.api + "/account/").status_code == 200
    assert len(machine.runs()) == 1


def test_over_https(bare: Machine, programs: Path, tmp_path: Path) -> None:
    demo = Demo(programs, tmp_path, "--tls")
    try:
        bare.use(demo)
        bare.setenv("REQUESTS_CA_BUNDLE", demo.env["SSL_CERT_FILE"])
        answer = requests.get(demo.api + "/account", auth=sfcred.Auth())  # it redirects
        assert answer.json()["name"] == "ada" and len(answer.history) == 1
    finally:
        demo.close()


def test_a_named_profile(machine: Machine) -> None:
    with pytest.raises(sfcred.ProfileNotFound, match="lab"):
        requests.get("http://127.0.0.1/", auth=sfcred.Auth("lab"))


def test_another_host(machine: Machine, other: Server) -> None:
    for get in (requests.get, sfcred.session().get):
        with pytest.raises(sfcred.HostNotAllowed, match="localhost.*\nhint: sfcred status env"):
            get(other.url, auth=sfcred.Auth())
    assert other.requests == []


def test_another_host_by_its_form_alone(machine: Machine) -> None:
    """Nobody is asked for a token that could not be sent anywhere."""
    for url in ("http://api.nersc.gov/", "https://user:pass@api.nersc.gov/", "https://api.nersc.gov./"):
        with pytest.raises(sfcred.HostNotAllowed):
            requests.get(url, auth=sfcred.Auth())
    assert machine.runs() == []


def test_another_object_than_a_request() -> None:
    with pytest.raises(TypeError, match="for requests and httpx, not for a str"):
        sfcred.Auth()("https://api.nersc.gov/")


def test_401_gets_a_fresh_token_once(machine: Machine, server: Server) -> None:
    first = bearer()
    server.answers(UNAUTHORIZED, OK)
    answer = requests.post(server.url, auth=sfcred.Auth(), data="body")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert [old.status_code for old in answer.history] == [401]
    assert server.tokens() == [first, bearer()] and first != bearer()
    assert [request.body for request in server.requests] == [b"body", b"body"]
    assert machine.runs()[1] == "token --json --min-ttl=60s --force"


def test_401_twice_is_the_answer(machine: Machine, server: Server) -> None:
    server.answers(UNAUTHORIZED)
    answer = requests.get(server.url, auth=sfcred.Auth())
    assert answer.status_code == 401 and len(server.requests) == 2
    assert answer.request.headers["Authorization"] == server.tokens()[1]


def test_a_server_that_takes_no_token_costs_no_exchange_each(
    machine: Machine, server: Server
) -> None:
    server.answers(UNAUTHORIZED)
    for _ in range(5):
        assert requests.get(server.url, auth=sfcred.Auth()).status_code == 401
    assert len(machine.runs()) == 2
    server.answers(OK)
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 200


def test_401_again_after_that_one_had_been_good(machine: Machine, server: Server) -> None:
    for _ in range(3):
        before = bearer()
        server.wants_another_than(sfcred.token().value)
        assert requests.get(server.url, auth=sfcred.Auth()).status_code == 200
        assert server.tokens()[-1] != before
    assert len(machine.runs()) == 4


def test_401_for_many_together(machine: Machine, server: Server) -> None:
    sfcred.token()
    server.wants_another_than(sfcred.token().value)
    auth = sfcred.Auth()
    start = threading.Barrier(16)

    def get(_: int) -> int:
        start.wait()
        return requests.get(server.url, auth=auth).status_code

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(get, range(16))) == [200] * 16
    assert len(machine.runs()) == 2


def test_401_and_no_fresh_token(machine: Machine, server: Server) -> None:
    """The reason is better than a bare 401."""
    sfcred.token()
    machine.script("echo 'sfcred: error: the client expired' >&2; exit 4")
    server.answers(UNAUTHORIZED)
    with pytest.raises(sfcred.ClientRefused, match="the client expired"):
        requests.get(server.url, auth=sfcred.Auth())
    assert len(server.requests) == 1


def test_a_prepared_request_may_be_sent_again(machine: Machine, server: Server) -> None:
    """Each time with a fresh token, if it must be."""
    prepared = requests.Request("GET", server.url, auth=sfcred.Auth()).prepare()
    with requests.Session() as session:
        for _ in range(3):
            server.wants_another_than(sfcred.token().value)
            assert session.send(prepared).status_code == 200


class Unseekable(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


def file_from_its_third_byte(tmp_path: Path) -> Any:
    path = tmp_path / "file"
    path.write_bytes(b"..body")
    file = path.open("rb")
    file.seek(2)
    return file


@pytest.mark.parametrize(
    "body, sent",
    [
        (lambda tmp: "body", 2),
        (lambda tmp: b"body", 2),
        (lambda tmp: {"a": "b"}, 2),
        (file_from_its_third_byte, 2),
        (lambda tmp: io.BytesIO(b"body"), 2),
        (lambda tmp: iter([b"bo", b"dy"]), 1),
        (lambda tmp: Unseekable(b"body"), 1),
    ],
    ids=["str", "bytes", "form", "file", "BytesIO", "generator", "pipe"],
)
def test_the_body_goes_along_if_it_can(
    machine: Machine, server: Server, tmp_path: Path, body: Any, sent: int
) -> None:
    """One that cannot is not sent by half: the 401 is the answer."""
    server.answers(UNAUTHORIZED, OK)
    content = body(tmp_path)
    answer = requests.post(server.url, data=content, auth=sfcred.Auth())
    assert answer.status_code == (200 if sent == 2 else 401)
    getattr(content, "close", bool)()
    bodies = [request.body for request in server.requests]
    assert len(bodies) == sent and len(set(bodies)) == 1 and bodies[0] in (b"body", b"a=b")


def test_upload_of_files(machine: Machine, server: Server) -> None:
    server.answers(UNAUTHORIZED, OK)
    assert requests.put(server.url, files={"f": b"data"}, auth=sfcred.Auth()).ok
    first, second = (request.body for request in server.requests)
    assert first == second and b"data" in first


def test_streaming(machine: Machine, server: Server) -> None:
    server.answers(UNAUTHORIZED, OK)
    with requests.get(server.url, auth=sfcred.Auth(), stream=True) as answer:
        assert answer.raw.read() == b"ok"


def test_cookies_of_a_401_count(machine: Machine, server: Server) -> None:
    server.answers((401, {"Set-Cookie": "a=b; Path=/"}, b""), OK)
    with sfcred.session() as session:
        session.get(server.url)
        assert session.cookies["a"] == "b"


@pytest.fixture
def netrc(tmp_path: Path, machine: Machine) -> None:
    """A ~/.netrc with a password for every host."""
    file = tmp_path / "home/.netrc"
    file.write_text("default login netrc password netrc\n")
    file.chmod(0o600)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_origin_keeps_the_token(
    netrc: None, server: Server, status: int
) -> None:
    """And ~/.netrc has no say in it."""
    server.answers(redirect("/there", status), OK)
    with sfcred.session() as session:
        assert session.get(server.url).status_code == 200
    assert server.tokens() == [bearer(), bearer()]


def test_requests_itself_lets_netrc_replace_it(netrc: None, server: Server) -> None:
    """The reason for session(): should this test fail, there is no need for it."""
    server.answers(redirect("/there"), OK)
    requests.get(server.url, auth=sfcred.Auth())
    assert server.tokens()[0] == bearer() and str(server.tokens()[1]).startswith("Basic ")


def test_http_proxy_gets_no_token(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, server: Server, other: Server
) -> None:
    """Plain http is for this very machine; through a proxy it would leave it."""
    monkeypatch.setenv("http_proxy", other.url)
    server.answers(redirect("/there"), OK)
    with sfcred.session() as session:
        assert session.get(server.url).status_code == 200
    assert server.tokens() == [bearer(), bearer()]
    assert other.tokens() == []


@pytest.mark.parametrize("plain", [False, True])
def test_a_redirect_elsewhere_takes_no_token_along(
    machine: Machine, server: Server, other: Server, plain: bool
) -> None:
    with Server() as neighbour, (requests.Session() if plain else sfcred.session()) as session:
        session.auth = sfcred.Auth()
        for target in (other, neighbour):  # another name, and another port of the same
            server.answers(redirect(target.url + "/x"))
            assert session.get(server.url).status_code == 200
            assert target.tokens() == [None]
    assert server.tokens() == [bearer()] * 2


def test_another_scheme_or_port_is_another_origin(bare: Machine) -> None:
    session: Any = sfcred.session()
    answer = requests.Response()
    answer.request = requests.Request("GET", "https://127.0.0.1/").prepare()
    for url, kept in [
        ("http://127.0.0.1/", False),
        ("https://127.0.0.1:443/x", True),
        ("https://127.0.0.1:444/", False),
        ("https://127.0.0.2/", False),
        ("https://user@127.0.0.1/", False),
    ]:
        after = requests.Request("GET", url, headers={"Authorization": "Bearer x"}).prepare()
        session.rebuild_auth(after, answer)
        assert ("Authorization" in after.headers) == kept, url


def test_a_401_after_a_redirect_elsewhere_gets_no_token(
    machine: Machine, server: Server, other: Server
) -> None:
    server.answers(redirect(other.url))
    other.answers(UNAUTHORIZED)
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 401
    assert other.tokens() == [None] and len(machine.runs()) == 1


def test_a_401_after_a_redirect_to_the_same_origin(machine: Machine, server: Server) -> None:
    first = bearer()
    server.answers(redirect("/there"), UNAUTHORIZED, OK)
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 200
    assert server.tokens() == [first, first, bearer()] and first != bearer()


def test_a_redirect_after_a_401_has_the_fresh_token(machine: Machine, server: Server) -> None:
    first = bearer()
    server.answers(UNAUTHORIZED, redirect("/there"), OK)
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 200
    assert server.tokens() == [first, bearer(), bearer()]


def test_once_per_request_though_it_is_redirected(machine: Machine, server: Server) -> None:
    server.answers(UNAUTHORIZED, redirect("/there"), UNAUTHORIZED, OK)
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 401
    assert len(server.requests) == 3


def test_where_netrc_had_replaced_it(netrc: None, machine: Machine, server: Server) -> None:
    """The token was not what was rejected, so it needs no successor."""

    def answer(request: Request) -> Any:
        if request.path == "/":
            return redirect("/there")
        return OK if request.token == first else UNAUTHORIZED

    first = bearer()
    server.answer = answer
    assert requests.get(server.url, auth=sfcred.Auth()).status_code == 200
    assert len(machine.runs()) == 1


def test_other_hooks_run(machine: Machine, server: Server) -> None:
    seen: List[int] = []
    server.answers(UNAUTHORIZED, OK)
    hook = {"response": lambda response, **_: seen.append(response.status_code)}
    requests.get(server.url, auth=sfcred.Auth(), hooks=hook)
    assert seen == [200]


def test_a_session_can_be_pickled(machine: Machine, demo: Demo) -> None:
    with pickle.loads(pickle.dumps(sfcred.session())) as session:
        assert session.get(demo.api + "/account/").status_code == 200


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_a_response_can_be_copied(
    machine: Machine, server: Server, duplicate: Callable[[Any], Any]
) -> None:
    """As multiprocessing and caches do. What it brings along does no harm."""
    server.answers(OK, UNAUTHORIZED)
    answer = duplicate(requests.get(server.url, auth=sfcred.Auth()))
    assert answer.status_code == 200
    assert requests.Session().send(answer.request).status_code == 401
