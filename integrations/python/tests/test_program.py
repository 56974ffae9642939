"""How sfcred is asked, and what becomes of its answers and failures."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest

import sfcred
from conftest import Machine
from sfcred import program

SECRET = "c2VrcmV0.c2VrcmV0.c2VrcmV0"


def answer(**changes: Any) -> str:
    fields: Dict[str, Any] = {
        "access_token": SECRET,
        "token_type": "Bearer",
        "expires_at": "2999-01-01T00:00:00Z",
        "profile": "lab",
        "hosts": ["api.nersc.gov"],
    }
    fields.update(changes)
    return json.dumps(fields)


def test_the_real_one(machine: Machine) -> None:
    token = sfcred.token()
    left = token.expires_at - datetime.now(timezone.utc) if token.expires_at else timedelta()
    assert token.value.count(".") == 2
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    assert (token.profile, token.hosts) == ("env", ("127.0.0.1",))
    assert machine.runs() == ["token --json --min-ttl=60s"]


def test_what_is_asked(bare: Machine) -> None:
    bare.answers(answer())
    sfcred.token("lab", min_ttl=90.5)
    sfcred.token("-odd")
    assert bare.runs() == [
        "token --json --min-ttl=91s --profile=lab",
        "token --json --min-ttl=60s --profile=-odd",
    ]


def test_the_repr_hides_the_value(bare: Machine) -> None:
    bare.answers(answer())
    token = sfcred.token()
    assert token.value == SECRET
    for text in (repr(token), str(token), f"{token}", repr([token]), repr(sfcred.Auth())):
        assert SECRET not in text
    assert "profile='lab'" in repr(token)


def test_no_standard_input_and_no_descriptors(bare: Machine) -> None:
    """Not what a person has typed ahead, and not what another library has open."""
    bare.answers(answer())
    (bare.folder / "fds").mkdir()
    bare.script(f"""read -r typed && echo "$typed" >{bare.folder}/typed
ls -l /proc/$$/fd >{bare.folder}/fds/list
cat {bare.folder}/answer""")
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    # By inode: the shell keeps descriptors of its own, and may give one this number.
    ours = os.readlink(f"/proc/self/fd/{reader}")
    try:
        sfcred.token()
    finally:
        os.close(reader)
        os.close(writer)
    assert not (bare.folder / "typed").exists()
    listed = (bare.folder / "fds/list").read_text()
    assert "pipe:[" in listed
    assert ours not in listed


@pytest.mark.parametrize(
    "code, kind",
    [
        (1, sfcred.Error),
        (2, sfcred.UsageError),
        (3, sfcred.ProfileNotFound),
        (4, sfcred.ClientRefused),
        (5, sfcred.KeyUnavailable),
        (6, sfcred.ServerUnreachable),
        (77, sfcred.Error),
    ],
)
def test_exit_codes(bare: Machine, code: int, kind: type) -> None:
    bare.script(
        "echo 'sfcred: warning: an aside' >&2; echo 'sfcred: error: it is so' >&2;"
        f" echo 'sfcred: hint: sfcred do' >&2; exit {code}"
    )
    with pytest.raises(sfcred.Error) as caught:
        sfcred.token()
    assert type(caught.value) is kind
    assert str(caught.value) == "it is so\nhint: sfcred do"
    assert caught.value.exit_code == (code if code <= 6 else 1)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (kind, str(caught.value))


def test_what_else_a_failing_program_says(bare: Machine) -> None:
    bare.script("echo 'gpg: no pinentry' >&2; printf 'odd \\033[31mred\\n' >&2; exit 5")
    with pytest.raises(sfcred.KeyUnavailable, match=r"^gpg: no pinentry odd \?\[31mred$"):
        sfcred.token()
    bare.script("exit 9")
    with pytest.raises(sfcred.Error, match="^sfcred ended with 9$"):
        sfcred.token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        SECRET,
        answer()[:-1],
        answer() + answer(),
        f'["{SECRET}"]',
        answer(access_token=None),
        answer(access_token=f"{SECRET}\nX-Other: header"),
        answer(access_token=f"{SECRET} more"),
        answer(access_token=""),
        answer(expires_at=SECRET),
        answer(expires_at=5),
        answer(expires_at="2999-01-01T00:00:00"),
        answer(hosts=None),
        answer(hosts=[5]),
        answer(profile=None),
        json.dumps({"access_token": SECRET}),
    ],
)
def test_an_answer_that_is_none(bare: Machine, text: str) -> None:
    """Nor is the token in what is raised, or in what that was raised from."""
    bare.answers(text)
    with pytest.raises(sfcred.Error) as caught:
        sfcred.token()
    problem: Any = caught.value
    assert "older" in str(problem)
    while problem is not None:
        assert SECRET not in repr(problem) and SECRET not in repr(vars(problem))
        problem = problem.__context__


def test_a_failure_keeps_a_token_that_was_printed_to_itself(bare: Machine) -> None:
    bare.script(f"echo '{answer()}'; exit 6")
    with pytest.raises(sfcred.ServerUnreachable) as caught:
        sfcred.token()
    assert SECRET not in str(caught.value)


def test_warnings_are_logged(bare: Machine, caplog: pytest.LogCaptureFixture) -> None:
    bare.answers(answer())
    bare.script(f"echo 'sfcred: warning: the clock is off' >&2; cat {bare.folder}/answer")
    with caplog.at_level(logging.WARNING, "sfcred"):
        sfcred.token()
    assert [record.getMessage() for record in caplog.records] == ["the clock is off"]


def test_no_profile(bare: Machine) -> None:
    with pytest.raises(sfcred.ProfileNotFound, match="hint: sfcred login --client-id"):
        sfcred.token()
    with pytest.raises(sfcred.ProfileNotFound, match='"lab"'):
        sfcred.token("lab")


def test_not_installed(bare: Machine) -> None:
    bare.remove_sfcred()
    with pytest.raises(sfcred.NotInstalled, match="not on the PATH.*\nhint: build it"):
        sfcred.token()


def test_not_executable(bare: Machine) -> None:
    (bare.bin / "sfcred").write_text("#!/nowhere/at/all\n")
    with pytest.raises(sfcred.NotInstalled, match="No such file"):
        sfcred.token()


def test_the_working_directory_is_no_place_for_it(
    bare: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bare.bin)
    bare.answers(answer())
    for path in ("", ".", "bin", os.pathsep):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(sfcred.NotInstalled):
            sfcred.token()
    assert bare.runs() == []


@pytest.mark.parametrize(
    "variable, seconds",
    [("", 8), ("3", 3), ("90s", 90), ("1m30.5s", 90.5), ("1d12h", 129600), ("2d", 172800), ("+30s", 30)]
    + [("x", 8), ("d", 8), ("1.5d", 8), ("-1s", 8)],
)
def test_deadline(monkeypatch: pytest.MonkeyPatch, variable: str, seconds: float) -> None:
    """It is later than that of sfcred, which knows better what is slow."""
    monkeypatch.setenv("SFCRED_TIMEOUT", variable)
    assert program._deadline() == seconds + program._GRACE


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM;"])
def test_a_hung_one_is_ended(
    bare: Machine, monkeypatch: pytest.MonkeyPatch, stubborn: str
) -> None:
    monkeypatch.setattr(program, "_deadline", lambda: 0.5)
    bare.script(f"{stubborn} echo $$ >{bare.folder}/pid; echo '{answer()}'; while :; do sleep 0.1; done")
    with pytest.raises(sfcred.TimedOut, match="hint: sfcred doctor") as caught:
        sfcred.token()
    assert SECRET not in repr(caught.value)
    assert not alive(int((bare.folder / "pid").read_text()))


def test_what_it_leaves_behind_is_not_waited_for(bare: Machine) -> None:
    """A program of the key store "command" may start an agent, which keeps our
    pipe for messages open."""
    bare.answers(answer())
    bare.script(f"sleep 60 >/dev/null & echo $! >{bare.folder}/pid; cat {bare.folder}/answer")
    try:
        assert sfcred.token().value == SECRET
        assert alive(int((bare.folder / "pid").read_text()))
    finally:
        os.kill(int((bare.folder / "pid").read_text()), signal.SIGTERM)


def test_ctrl_c_ends_it(bare: Machine) -> None:
    """A person who gives up is obeyed, and leaves no sfcred behind."""
    bare.script(f"echo $$ >{bare.folder}/pid.new; mv {bare.folder}/pid.new {bare.folder}/pid; exec sleep 60")
    child = subprocess.Popen(
        [sys.executable, "-c", "import sfcred; sfcred.token()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that the signal is Python's alone
    )
    try:
        while not (bare.folder / "pid").exists():
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=30)
    finally:
        child.kill()
    assert b"KeyboardInterrupt" in stderr
    assert not alive(int((bare.folder / "pid").read_text()))


def test_min_ttl_is_a_number_of_seconds() -> None:
    for wrong in (-1, float("nan"), float("inf")):
        calls: List[Any] = [sfcred.token, sfcred.Auth, sfcred.session, sfcred.middleware]
        for call in calls:
            with pytest.raises(ValueError, match="min_ttl"):
                call(min_ttl=wrong)
            with pytest.raises(TypeError, match="min_ttl='60' is not a number of seconds"):
                call(min_ttl="60")


@pytest.mark.parametrize("wrong", [7, b"lab", ["lab"], pytest])
def test_a_profile_is_a_name(wrong: Any) -> None:
    calls: List[Any] = [sfcred.token, sfcred.Auth, sfcred.session, sfcred.middleware]
    for call in calls:
        with pytest.raises(TypeError, match=f"profile=.* is a {type(wrong).__name__}, not a name"):
            call(wrong)


def test_an_import_loads_no_client() -> None:
    code = (
        "import sys, sfcred; from sfcred import *; sfcred.Auth();"
        "print([m for m in ('requests', 'httpx', 'aiohttp', 'asyncio', 'sfapi_client') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert out.stdout == b"[]\n"
