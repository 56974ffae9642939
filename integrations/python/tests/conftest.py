"""A machine with sfcred on it, for a test: a home of its own, the real program
behind a script that counts its runs, and the demo's server.

The programs are built by the go command, unless SFCRED_TEST_BIN names a folder
that has sfcred and sfcred-demo.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

import servers
import sfcred.source

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sfcred and sfcred-demo."""
    given = os.environ.get("SFCRED_TEST_BIN")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("bin")
    subprocess.run(
        ["go", "build", "-o", str(folder), "./cmd/sfcred", "./cmd/sfcred-demo"],
        cwd=REPOSITORY,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    return folder


class Demo:
    """A running `sfcred-demo serve`."""

    def __init__(self, programs: Path, folder: Path, *flags: str) -> None:
        self.env_file = folder / "env"
        self.process = subprocess.Popen(
            [str(programs / "sfcred-demo"), "serve", "--write-env", str(self.env_file), *flags],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not self.env_file.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, "no demo server"
            time.sleep(0.02)
        self.env: Dict[str, str] = {}
        for line in self.env_file.read_text().splitlines():
            words = shlex.split(line)
            name, _, value = words[1].partition("=")
            self.env[name] = value
        self.api = self.env["SFCRED_API_URL"]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)


@pytest.fixture(scope="session")
def demo(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The server for all tests that do not need one of their own."""
    running = Demo(programs, tmp_path_factory.mktemp("demo"))
    yield running
    running.close()


class Machine:
    """What a test can see of, and do to, the machine that it is on."""

    def __init__(self, folder: Path, programs: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.programs = programs
        self.bin = folder / "bin"
        self.log = folder / "runs"
        self._patch = patch
        for name in [name for name in os.environ if name.startswith("SFCRED_")]:
            patch.delenv(name)
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NETRC", "KUBECONFIG"):
            patch.delenv(name, raising=False)
        for name in ("home", "run", "bin", "tmp"):
            (folder / name).mkdir(mode=0o700)
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        patch.setenv("TMPDIR", str(folder / "tmp"))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"):
            patch.delenv(name, raising=False)
        patch.setenv("PATH", os.pathsep.join([str(self.bin), os.environ["PATH"]]))
        self.script(f'exec {shlex.quote(str(programs / "sfcred"))} "$@"')

    def script(self, text: str) -> None:
        """Makes sfcred a shell script that counts its runs, and then runs text."""
        path = self.bin / "sfcred"
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "$*" >>{shlex.quote(str(self.log))}\n{text}\n')
        path.chmod(0o755)

    def answers(self, text: str) -> None:
        """Makes sfcred print text."""
        answer = self.folder / "answer"
        answer.write_text(text)
        self.script(f"cat {shlex.quote(str(answer))}")

    def remove_sfcred(self) -> None:
        (self.bin / "sfcred").unlink()
        self._patch.setenv("PATH", str(self.bin))

    def setenv(self, name: str, value: str) -> None:
        self._patch.setenv(name, value)

    def use(self, demo: Demo) -> None:
        """Makes the demo's client the profile "env"."""
        for name, value in demo.env.items():
            self._patch.setenv(name, value)

    def runs(self) -> List[str]:
        """The command lines of sfcred so far."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def bare(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    """A machine with sfcred on it, and no profile."""
    monkeypatch.setattr(sfcred.source, "_sources", {})
    yield Machine(tmp_path, programs, monkeypatch)


@pytest.fixture
def machine(bare: Machine, demo: Demo) -> Machine:
    """A machine on which sfcred gets tokens from the demo's server."""
    bare.use(demo)
    return bare


@pytest.fixture
def server() -> Iterator[servers.Server]:
    """A server on 127.0.0.1 that does what the test says."""
    with servers.Server() as running:
        yield running


@pytest.fixture
def other() -> Iterator[servers.Server]:
    """One on localhost, which to the demo's profile is another host."""
    with servers.Server(name="localhost") as running:
        yield running
