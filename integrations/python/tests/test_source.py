"""One run of sfcred per token, whoever asks, and the right one at any time."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, List, Optional

import pytest
import trio

import servers
import sfcred
import sfcred.source
from conftest import Demo, Machine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets time.time() ahead by a number of seconds, for this process."""
    real = time.time
    ahead = [0.0]
    monkeypatch.setattr("sfcred.source.time.time", lambda: real() + ahead[0])

    def go(seconds: float) -> None:
        ahead[0] += seconds

    return go


def answers(machine: Machine, life: Optional[float], *, then: str = "") -> None:
    """Makes sfcred give tokens t1, t2, … that live that long; they are numbered by
    its runs."""
    end = '"expires_at":null'
    if life is not None:
        until = datetime.now(timezone.utc) + timedelta(seconds=life)
        end = f'"expires_at":"{until.strftime("%Y-%m-%dT%H:%M:%SZ")}"'
    machine.script(
        f"{then}\nn=$(wc -l <{machine.log})\n"
        f'echo "{{\\"access_token\\":\\"t$n\\",{end},\\"profile\\":\\"lab\\",\\"hosts\\":[\\"127.0.0.1\\"]}}"'.replace(
            end, end.replace('"', '\\"')
        )
    )


def test_one_run_per_token(bare: Machine, clock: Callable[[float], None]) -> None:
    answers(bare, 600)
    assert [sfcred.token().value for _ in range(100)] == ["t1"] * 100
    clock(530)
    assert sfcred.token().value == "t1"
    clock(15)  # less than a minute is left
    answers(bare, 600 + 545)
    assert [sfcred.token().value for _ in range(3)] == ["t2"] * 3
    assert len(bare.runs()) == 2


def test_clock_set_back(
    bare: Machine, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, later = sfcred.source._passed, [0.0]
    monkeypatch.setattr("sfcred.source._passed", lambda: real() + later[0])
    answers(bare, 600)
    assert sfcred.token().value == "t1"
    clock(-3600)
    later[0] = 530
    assert sfcred.token().value == "t1"
    later[0] = 545  # less than a minute is left, whatever the clock says
    answers(bare, 600 - 3600)
    assert [sfcred.token().value for _ in range(3)] == ["t2"] * 3
    clock(3600)  # and back again: t2 may have ended, for all that is known
    answers(bare, 600)
    assert sfcred.token().value == "t3"
    assert len(bare.runs()) == 3


def test_min_ttl_is_each_callers_own(bare: Machine, clock: Callable[[float], None]) -> None:
    answers(bare, 600)
    assert sfcred.token(min_ttl=60).value == "t1"
    assert sfcred.token(min_ttl=500).value == "t1"
    assert sfcred.token(min_ttl=650).value == "t2"  # sfcred may have a longer one
    assert sfcred.token(min_ttl=650).value == "t2"  # it has not
    assert sfcred.token(min_ttl=60).value == "t2"
    assert len(bare.runs()) == 2
    clock(350)
    assert sfcred.token(min_ttl=650).value == "t3"  # less than half is left of it


def test_short_tokens_are_used_for_half_of_their_life(
    bare: Machine, clock: Callable[[float], None]
) -> None:
    answers(bare, 30)
    assert [sfcred.token().value for _ in range(5)] == ["t1"] * 5
    clock(10)
    assert sfcred.token().value == "t1"
    clock(10)
    assert sfcred.token().value == "t2"


def test_a_token_without_an_end_is_held_for_a_minute(
    bare: Machine, clock: Callable[[float], None]
) -> None:
    answers(bare, None)
    assert [sfcred.token().value for _ in range(5)] == ["t1"] * 5
    assert sfcred.token().expires_at is None
    clock(61)
    assert sfcred.token().value == "t2"


@pytest.mark.parametrize("code", [5, 6])
def test_out_of_reach(bare: Machine, clock: Callable[[float], None], code: int) -> None:
    """What is held is served to its end; and while it is, sfcred is not asked for
    each request, since each of its answers would take its time."""
    answers(bare, 600)
    sfcred.token()
    bare.script(f"exit {code}")
    clock(550)
    assert [sfcred.token().value for _ in range(5)] == ["t1"] * 5
    assert len(bare.runs()) == 2
    clock(51)
    with pytest.raises(sfcred.Error) as caught:
        sfcred.token()
    assert caught.value.exit_code == code


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_a_refusal_is_not_papered_over(
    bare: Machine, clock: Callable[[float], None], code: int
) -> None:
    answers(bare, 600)
    sfcred.token()
    bare.script(f"exit {code}")
    clock(550)
    with pytest.raises(sfcred.Error):
        sfcred.token()


def test_a_failure_is_not_held(bare: Machine) -> None:
    bare.script("exit 6")
    for _ in range(2):
        with pytest.raises(sfcred.ServerUnreachable):
            sfcred.token()
    answers(bare, 600)
    assert sfcred.token().value == "t3"


def test_profiles_have_their_own(bare: Machine) -> None:
    answers(bare, 600)
    assert (sfcred.token().value, sfcred.token("lab").value) == ("t1", "t2")
    bare.setenv("SFCRED_PROFILE", "other")
    assert sfcred.token().value == "t3"
    assert (sfcred.token().value, sfcred.token("lab").value) == ("t3", "t4")


class Counted:
    """The demo's server behind one that counts the exchanges."""

    def __init__(self, machine: Machine, demo: Demo, front: servers.Server) -> None:
        servers.forwards_to(front, demo.env["SFCRED_TOKEN_URL"])
        self._front = front
        login = [
            str(machine.programs / "sfcred"),
            *("login", "--no-check", "--store", "pem", "--profile", "counted"),
            *("--client-id", demo.env["SFCRED_CLIENT_ID"]),
            *("--key", demo.env["SFCRED_PRIVATE_KEY_FILE"]),
            *("--token-url", front.url + "/token", "--host", "127.0.0.1"),
            *("--audience", demo.env["SFCRED_TOKEN_URL"], "--allow-foreign-audience"),
        ]
        subprocess.run(login, check=True)

    def exchanges(self) -> int:
        return len(self._front.requests)


@pytest.fixture
def counted(bare: Machine, demo: Demo, server: servers.Server) -> Counted:
    return Counted(bare, demo, server)


def together(count: int, call: Callable[[], Any]) -> List[Any]:
    """Has threads make a call at the same moment."""
    start = threading.Barrier(count)

    def run() -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(count)]]


def test_64_threads_make_one_exchange(bare: Machine, counted: Counted) -> None:
    tokens = together(64, sfcred.token)
    assert len({token.value for token in tokens}) == 1
    assert counted.exchanges() == 1
    assert len(bare.runs()) == 1


def test_1000_tasks_make_one_exchange(
    bare: Machine, counted: Counted, server: servers.Server
) -> None:
    async def everybody() -> List[Any]:
        url = server.url
        return await asyncio.gather(*(sfcred.headers(url) for _ in range(1000)))

    assert len({headers["Authorization"] for headers in asyncio.run(everybody())}) == 1
    assert counted.exchanges() == 1
    assert len(bare.runs()) == 1


def test_threads_and_loops_share_one_exchange(bare: Machine, counted: Counted) -> None:
    """Threads without a loop, threads with loops of their own, and one of trio."""
    source = sfcred.source.source_of(None)

    async def ten() -> Any:
        return (await asyncio.gather(*(source.aget(60) for _ in range(10))))[0]

    async def trios() -> Any:
        return await source.aget(60)

    kinds: List[Callable[[], Any]] = [
        sfcred.token,
        lambda: asyncio.run(ten()),
        lambda: trio.run(trios),
    ]
    turns = iter(range(30))
    tokens = together(30, lambda: kinds[next(turns) % 3]())
    assert len({token.value for token in tokens}) == 1
    assert counted.exchanges() == 1
    assert len(bare.runs()) == 1


def test_those_whose_token_was_rejected_share_one_exchange(
    bare: Machine, counted: Counted
) -> None:
    rejected = sfcred.token().value
    source = sfcred.source.source_of(None)
    fresh = together(64, lambda: source.renew(rejected, 60))
    assert len({token.value for token in fresh} | {rejected}) == 2
    assert counted.exchanges() == 2
    assert bare.runs() == ["token --json --min-ttl=60s", "token --json --min-ttl=60s --force"]
    late = source.renew(rejected, 60)
    assert late is not None and late.value == fresh[0].value and len(bare.runs()) == 2


def test_a_rejected_token_is_replaced_though_another_run_is_under_way(bare: Machine) -> None:
    """One that began before the token was rejected may bring that token."""
    answers(bare, 600)
    sfcred.token()
    answers(bare, 600, then=f"while [ ! -e {bare.folder}/go ]; do sleep 0.01; done")
    source = sfcred.source.source_of(None)
    source._held = None
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(source.get, 60)
        while len(bare.runs()) < 2:
            time.sleep(0.01)
        second = pool.submit(source.renew, "t2", 60)
        time.sleep(0.05)
        (bare.folder / "go").touch()
        renewed = second.result()
        assert first.result().value == "t2"
    assert renewed is not None and renewed.value == "t3"
    assert bare.runs()[2].endswith(" --force")


def test_a_failure_is_shared(bare: Machine) -> None:
    bare.script("sleep 0.5; echo 'sfcred: error: no way' >&2; exit 6")

    def fail() -> BaseException:
        with pytest.raises(sfcred.ServerUnreachable, match="^no way$") as caught:
            sfcred.token()
        return caught.value

    problems = together(16, fail)
    assert len(bare.runs()) <= 2
    assert len(set(map(id, problems))) == 16  # each has a traceback of its own


def test_the_loop_goes_on(bare: Machine) -> None:
    answers(bare, 600, then="sleep 0.5")

    async def main() -> int:
        ticks = 0
        waiting = asyncio.ensure_future(sfcred.headers("http://127.0.0.1/"))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert waiting.result() == {"Authorization": "Bearer t1"}
        return ticks

    assert asyncio.run(main()) > 10


def test_in_a_loop_without_await(bare: Machine) -> None:
    """As in a cell of Jupyter, whose loop runs: also while a task waits for the
    same token."""
    answers(bare, 600, then="sleep 0.2")

    async def main() -> None:
        waiting = asyncio.ensure_future(sfcred.headers("http://127.0.0.1/"))
        await asyncio.sleep(0)
        assert sfcred.token().value == "t1"
        assert await waiting == {"Authorization": "Bearer t1"}

    asyncio.run(main())
    assert len(bare.runs()) == 1


def test_a_task_that_is_cancelled_takes_nothing_from_others(bare: Machine) -> None:
    answers(bare, 600, then="sleep 0.5")

    async def main() -> None:
        url = "http://127.0.0.1/"
        first = asyncio.ensure_future(sfcred.headers(url))
        second = asyncio.ensure_future(sfcred.headers(url))
        await asyncio.sleep(0.1)
        first.cancel()
        assert await second == {"Authorization": "Bearer t1"}
        assert first.cancelled()

    asyncio.run(main())
    assert len(bare.runs()) == 1


def test_a_loop_that_ends_takes_nothing_from_others(
    bare: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    answers(bare, 600, then="sleep 0.3")

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sfcred.headers("http://127.0.0.1/"), 0.1)

    async def impatient_of_trio() -> None:
        with trio.move_on_after(0.05):
            await sfcred.source.source_of(None).aget(60)

    asyncio.run(impatient())
    trio.run(impatient_of_trio)
    assert sfcred.token().value == "t1"
    assert len(bare.runs()) == 1
    assert caplog.records == []  # of what tried to wake a loop that is closed


def test_another_flies_where_one_was_interrupted(bare: Machine) -> None:
    """Ctrl-C reaches the main thread only; those that waited for it go on."""
    answers(bare, 600, then="sleep 0.5")
    with ThreadPoolExecutor(1) as pool:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.25)
        with pytest.raises(KeyboardInterrupt):
            waiting: Any = None

            def later() -> Any:
                time.sleep(0.1)
                return sfcred.token()

            waiting = pool.submit(later)
            sfcred.token()
        assert waiting.result().value == "t2"


def test_a_signal_handler_may_ask_while_its_thread_does(bare: Machine) -> None:
    """A child, since what fails here hangs."""
    answers(bare, 600, then="sleep 0.5")

    def main() -> List[str]:
        seen: List[str] = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(sfcred.token().value))
        threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        seen.append(sfcred.token().value)
        return [*seen, sfcred.token().value]

    assert in_child(main) == ["t2", "t2", "t2"]  # numbered when the second run had begun
    assert len(bare.runs()) == 2


def in_child(call: Callable[[], Any]) -> Any:
    """What a call returns in a forked child; it has ten seconds."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        code = 1
        try:
            writer.send(call())
            code = 0
        finally:
            os._exit(code)
    writer.close()
    try:
        return reader.recv()
    finally:
        assert os.waitpid(pid, 0)[1] == 0
        reader.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_has_what_its_parent_held(bare: Machine) -> None:
    answers(bare, 600)
    auth = sfcred.Auth()
    sfcred.token()
    assert in_child(lambda: auth._source.get(60).value) == "t1"
    assert len(bare.runs()) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("locked", [False, True])
def test_a_child_that_is_forked_while_sfcred_runs(bare: Machine, locked: bool) -> None:
    """It waits neither for a thread nor for a lock that its parent alone has."""
    answers(bare, 600, then=f"[ -e {bare.folder}/go ] || sleep 0.5")
    auth = sfcred.Auth()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sfcred.token)
        while not bare.runs():
            time.sleep(0.01)
        (bare.folder / "go").touch()
        if locked:
            auth._source._lock.acquire()
        assert in_child(lambda: auth._source.get(60).value) == "t2"
        if locked:
            auth._source._lock.release()
        assert waiting.result().value in ("t1", "t2")  # numbered by runs, of which there are two


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_lives_on_does_not_keep_sfcred_waiting(
    bare: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread forks when the pipes of sfcred have been made, and its child
    stays. Popen would wait for it: the pipe by which it learns that sfcred runs
    would be open there."""
    answers(bare, 600)
    children: List[int] = []
    made: List[Any] = []
    ready, forked = threading.Event(), threading.Event()
    real = os.pipe

    def fork() -> None:
        ready.wait(60)
        pid = os.fork()
        if pid == 0:
            time.sleep(3600)
            os._exit(0)
        children.append(pid)
        forked.set()

    def pipe() -> Any:
        made.append(real())
        if len(made) == 3:  # after the two for its output; Python 3.14 has no third
            ready.set()
            forked.wait(0.3)
        return made[-1]

    monkeypatch.setattr(os, "pipe", pipe)
    with ThreadPoolExecutor(2) as pool:
        forking, asking = pool.submit(fork), pool.submit(sfcred.token)
        try:
            assert asking.result(timeout=60).value == "t1"
        finally:
            ready.set()
            forking.result()
            os.kill(children[0], signal.SIGKILL)
            os.waitpid(children[0], 0)


def spawned(auth: sfcred.Auth) -> str:
    return auth._source.get(60).value


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_auth_object_can_be_sent_to_another_process(machine: Machine, method: str) -> None:
    """As Dask and multiprocessing do. sfcred has the token for it in its cache."""
    value = sfcred.token().value
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(spawned, (sfcred.Auth(min_ttl=30),)) == value
    assert len(machine.runs()) == 2


def test_a_program_that_ends_does_not_wait(bare: Machine) -> None:
    answers(bare, 600, then="sleep 30")
    code = """
import asyncio, sfcred
async def main():
    try:
        await asyncio.wait_for(sfcred.headers("http://127.0.0.1/"), 0.3)
    except asyncio.TimeoutError:
        print("gave up")
asyncio.run(main())
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, timeout=20
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, b"gave up\n", b"")


def test_at_exit(machine: Machine) -> None:
    """Also from a function of atexit, when threads cannot be started any more."""
    code = """
import atexit, sfcred
atexit.register(lambda: print(len(sfcred.token().value) > 20))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=20)
    assert (child.returncode, child.stdout, child.stderr) == (0, b"True\n", b"")


def test_an_object_stays_with_the_environment_it_was_made_in(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    """A notebook that sets SFCRED_PROFILE later has not changed what it has made."""
    machine.script(
        'echo "{\\"access_token\\":\\"of-$SFCRED_PROFILE\\",\\"expires_at\\":null,'
        '\\"profile\\":\\"x\\",\\"hosts\\":[\\"127.0.0.1\\"]}"'
    )
    monkeypatch.setenv("SFCRED_PROFILE", "a")
    a = sfcred.source.source_of(None)
    monkeypatch.setenv("SFCRED_PROFILE", "b")
    b = sfcred.source.source_of(None)
    assert a.get(60).value == "of-a"
    monkeypatch.delenv("SFCRED_PROFILE")
    assert b.get(60).value == "of-b"
    monkeypatch.setenv("SFCRED_PROFILE", "a")
    assert sfcred.token().value == "of-a"
