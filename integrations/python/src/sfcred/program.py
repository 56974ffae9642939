"""How the program sfcred is asked.

It gets no standard input, no descriptor of ours, and a deadline; it takes what
it needs from our environment, as it would from a shell's. It alone knows where
the private key is.
"""

from __future__ import annotations

import logging
import math
import os
import re
import selectors
import shutil
import subprocess
import threading
import time
from typing import List, Mapping, NamedTuple, NoReturn, Optional, Tuple

from . import errors
from .token import Token, from_answer

_log = logging.getLogger("sfcred")

#: How long sfcred takes for one answer at most, unless SFCRED_TIMEOUT says
#: otherwise, and how long after that we take it for hung.
_TIMEOUT = 8.0
_GRACE = 5.0

# How often a program is looked at whose pipes have not ended, in seconds.
_PAUSE = 0.25

_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3,
    "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
}

# Held while a child is started. Were another one forked meanwhile, it would have
# the pipe by which Popen learns that the program runs, and Popen would wait for
# as long as that child lives. A fork waits for a moment and no longer, since it
# holds locks of others, which a finalizer that runs here may want; an RLock, for
# a signal handler that forks.
_starting = threading.RLock()
_forking = threading.local()


def _before_fork() -> None:
    _forking.waited = _starting.acquire(timeout=1)


def _after_fork() -> None:
    if _forking.waited:
        _starting.release()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def ask(
    profile: Optional[str],
    min_ttl: float,
    *,
    force: bool = False,
    settings: Mapping[str, Optional[str]] = {},
) -> Token:
    """Runs `sfcred token --json` and returns its answer; raises an Error.

    The settings stand in the environment instead of ours; None is not set.
    """
    command = [_find(), "token", "--json", f"--min-ttl={math.ceil(min_ttl)}s"]
    if profile is not None:
        command.append(f"--profile={profile}")
    if force:
        command.append("--force")
    outcome = _run(command, _deadline(), settings)
    token = from_answer(outcome.stdout) if outcome.code == 0 else None
    if token is None:
        _explain(outcome)
    for warning in _said(outcome.stderr)["warning"]:
        _log.warning("%s", warning)
    return token


class _Outcome(NamedTuple):
    code: int
    stdout: bytes
    stderr: str


def _find() -> str:
    """The path of sfcred. Relative entries of PATH are not looked at: in them, a
    program that somebody put into the working directory would run."""
    folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]
    path = shutil.which("sfcred", path=os.pathsep.join(folders))
    if path is None or not os.path.isabs(path):  # Windows looks into the working directory first
        raise errors.NotInstalled(
            "the program sfcred is not on the PATH of this process: " + os.pathsep.join(folders),
            "build it as its README says (CGO_ENABLED=0 go build ... -o sfcred ./cmd/sfcred),"
            " and put it in one of these folders",
        )
    return path


def _deadline() -> float:
    """When sfcred is hung for certain, in seconds from now."""
    return _seconds(os.environ.get("SFCRED_TIMEOUT", "")) + _GRACE


def _seconds(text: str) -> float:
    """Reads a duration as sfcred does, "90s", "1m30s" or "1d12h". One that it does not
    take has the default: it says so itself, at once."""
    if re.fullmatch(r"[0-9]+", text):
        return float(text)
    number = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
    if not text or not re.fullmatch(rf"(?:[0-9]+d)?(?:\+?(?:{number}(?:ns|us|µs|μs|ms|s|m|h))+)?", text):
        return _TIMEOUT
    parts = re.findall(r"([0-9.]+)([a-zµμ]+)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _run(
    command: List[str], deadline: float, settings: Mapping[str, Optional[str]]
) -> _Outcome:
    process = _start(command, settings)
    try:
        output = _read(process, deadline)
    finally:  # also by Ctrl-C: nobody waits for an answer any more
        _end(process)
    if output is None:
        raise errors.TimedOut(
            f"sfcred did not answer within {deadline:g} seconds, and was ended", "sfcred doctor"
        )
    return _Outcome(process.returncode, output[0], output[1].decode("utf-8", "replace"))


def _start(
    command: List[str], settings: Mapping[str, Optional[str]]
) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ)
    for name, value in settings.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    try:
        with _starting:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                close_fds=True,
                env=environment,
                # No console window flashes up under a program without one.
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
    except OSError as problem:
        raise errors.NotInstalled(
            f"start {command[0]}: {problem.strerror}", "sfcred version"
        ) from None


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> Optional[Tuple[bytes, bytes]]:
    """What the program printed, when it has ended; None if that is too late.

    A program of the key store "command" has our pipe for its messages, and what
    it leaves behind may hold it open for days. So the end of sfcred counts, not
    that of its output; what it wrote is in the pipe by then.
    """
    try:
        if os.name == "nt":  # where a pipe cannot be waited for
            return process.communicate(timeout=deadline)
        end = time.monotonic() + deadline
        output = _drain(process, end)
        process.wait(timeout=max(0.0, end - time.monotonic()))
        return output
    except subprocess.TimeoutExpired:
        return None


def _drain(process: "subprocess.Popen[bytes]", end: float) -> Tuple[bytes, bytes]:
    assert process.stdout is not None and process.stderr is not None
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, stdout)
        selector.register(process.stderr, selectors.EVENT_READ, stderr)
        while selector.get_map() and time.monotonic() < end:
            ended = process.poll() is not None
            ready = selector.select(0 if ended else _PAUSE)
            if ended and not ready:
                break
            for key, _ in ready:
                chunk = os.read(key.fd, 1 << 16)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
    return bytes(stdout), bytes(stderr)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a child that has not ended: politely, so that it can end its own, then
    by force."""
    for stop in (process.terminate, process.kill):
        stop()
        try:
            process.wait(timeout=1)
            break
        except subprocess.TimeoutExpired:
            continue  # one that hangs in the kernel is left behind
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _explain(outcome: _Outcome) -> NoReturn:
    """Raises what sfcred said, as the error that its exit code stands for."""
    said = _said(outcome.stderr)
    kind = errors.BY_EXIT_CODE.get(outcome.code, errors.Error)
    message = "; ".join(said["error"]) or " ".join(said["other"][-3:])
    if not message and outcome.code == 0:
        message = "sfcred gave no answer that can be read; is it an older one?"
    raise kind(message or f"sfcred ended with {outcome.code}", *said["hint"])


def _said(stderr: str) -> "dict[str, list[str]]":
    """What sfcred said, by kind. Its lines are "sfcred: KIND: TEXT"; others are
    of programs that it ran."""
    said: "dict[str, list[str]]" = {"error": [], "warning": [], "hint": [], "other": []}
    for line in stderr.splitlines():
        match = re.fullmatch(r"sfcred: (error|warning|hint): (.+)", line)
        kind, text = match.groups() if match else ("other", line.strip())
        text = re.sub(r"[^ -~]", "?", text)[:500]
        if text:
            said[kind].append(text)
    return said
