"""The README's programs, run as they stand, but for where the API is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from conftest import Demo, Machine
from test_sfapi import IS_OFFICIAL, STANDIN

README = Path(__file__).resolve().parents[1] / "README.md"
PROGRAMS: List[str] = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
API = "https://api.nersc.gov/api/v1.2"


def test_there_are_programs() -> None:
    assert len(PROGRAMS) == 6


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.split("\n")[0] for program in PROGRAMS])
def test_program(machine: Machine, demo: Demo, program: str) -> None:
    path = [*sys.path, *([] if IS_OFFICIAL else [str(STANDIN)])]
    program = program.replace(API, demo.api).replace(
        "Client() as", f"Client(api_base_url={demo.api!r}) as"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert re.search(r"^(ada|200|perlmutter|Token\(expires_at=)", child.stdout)
    assert len(machine.runs()) == 1
