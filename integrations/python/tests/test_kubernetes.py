"""The Python client of Kubernetes, configured by what `sfcred setup kubectl` prints.

It runs the plugin itself; this package has no part in it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import List

import kubernetes
import pytest

from conftest import Demo, Machine
from servers import UNAUTHORIZED, Server

NAMESPACES = json.dumps(
    {"apiVersion": "v1", "kind": "NamespaceList", "metadata": {}, "items": [{"metadata": {"name": "lab"}}]}
).encode()


class Cluster:
    """A kubeconfig for a server that answers with a list of namespaces."""

    def __init__(self, machine: Machine, demo: Demo, server: Server) -> None:
        self.machine, self.server = machine, server
        self.sfcred = str(machine.programs / "sfcred")
        login = ["login", "--no-check", "--store", "pem", "--profile", "lab", "--host", "127.0.0.1"]
        login += ["--client-id", demo.env["SFCRED_CLIENT_ID"]]
        login += ["--key", demo.env["SFCRED_PRIVATE_KEY_FILE"]]
        login += ["--token-url", demo.env["SFCRED_TOKEN_URL"]]
        subprocess.run([self.sfcred, *login], check=True)
        user = self.setup()
        plugin = machine.bin / "sfcred-kubectl"
        plugin.write_text(f'#!/bin/sh\necho run >>{machine.log}\nexec {self.links}/sfcred-kubectl "$@"\n')
        plugin.chmod(0o755)
        self.kubeconfig = machine.folder / "kubeconfig"
        self.kubeconfig.write_text(
            f"""apiVersion: v1
kind: Config
clusters:
- {{name: lab, cluster: {{server: "{server.url}"}}}}
contexts:
- {{name: lab, context: {{cluster: lab, user: sfcred-lab}}}}
current-context: lab
{user}"""
        )
        server.answer = lambda request: (
            (200, {"Content-Type": "application/json"}, NAMESPACES)
            if str(request.token).startswith("Bearer ey")
            else UNAUTHORIZED
        )

    def setup(self) -> str:
        """The entry that sfcred prints where the link, by which it is the plugin, is
        in PATH. Later a script is found before it that counts."""
        self.links = self.machine.folder / "links"
        self.links.mkdir()
        for name in ("sfcred", "sfcred-kubectl"):
            (self.links / name).symlink_to(self.sfcred)
        env = {**os.environ, "PATH": f"{self.links}:{os.environ['PATH']}"}
        command = [str(self.links / "sfcred"), "setup", "kubectl"]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    def namespaces(self, *, times: int = 1) -> List[str]:
        client = kubernetes.config.new_client_from_config(str(self.kubeconfig))
        with client:
            core = kubernetes.client.CoreV1Api(client)
            lists = [core.list_namespace() for _ in range(times)]
        return [item.metadata.name for item in lists[-1].items]


@pytest.fixture
def cluster(bare: Machine, demo: Demo, server: Server) -> Cluster:
    return Cluster(bare, demo, server)


def test_a_request(cluster: Cluster) -> None:
    assert cluster.namespaces(times=3) == ["lab"]
    assert [request.path for request in cluster.server.requests] == ["/api/v1/namespaces"] * 3
    assert len(set(cluster.server.tokens())) == 1 and cluster.machine.runs() == ["run"]


def test_it_asks_again_when_the_token_ends(
    bare: Machine, programs: Path, tmp_path: Path, server: Server
) -> None:
    """It takes a token for ended five minutes ahead; these live for two."""
    demo = Demo(programs, tmp_path, "--token-life", "2m")
    try:
        assert Cluster(bare, demo, server).namespaces(times=3) == ["lab"]
        assert len(bare.runs()) > 1
    finally:
        demo.close()


def test_what_is_wrong_is_in_the_log(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """The client goes on without a token, and says so to its log alone."""
    subprocess.run([cluster.sfcred, "remove", "--yes", "lab"], check=True)
    with caplog.at_level(logging.ERROR), pytest.raises(kubernetes.client.ApiException) as caught:
        cluster.namespaces()
    assert caught.value.status == 401 and cluster.server.tokens()[0] is None
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "process returned 3" in log
    assert 'sfcred: error: no profile "lab"' in log and "sfcred: hint: sfcred login" in log


def test_standard_input_stays_the_programs(cluster: Cluster) -> None:
    """The client lets its plugins have it."""
    code = f"""
import sys, kubernetes
kubernetes.config.load_kube_config({str(cluster.kubeconfig)!r})
print(len(kubernetes.client.CoreV1Api().list_namespace().items), sys.stdin.read())
"""
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], input=b"all of it", capture_output=True, check=True
    )
    assert (child.stdout, child.stderr) == (b"1 all of it\n", b"")
