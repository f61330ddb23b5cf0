"""Local servers that play a store, and a line to them that breaks."""

import base64
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

ACCOUNT = "casebook"
KEY = base64.b64encode(secrets.token_bytes(64)).decode()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(command: Sequence[str], port: int, variables: Mapping[str, str]) -> Iterator[int]:
    """Run a server until the end of the block; yield once its port listens."""
    environment = os.environ | variables
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()


@contextmanager
def azurite_in(folder: Path) -> Iterator[int]:
    """Run Azurite with an account ACCOUNT, and yield its port."""
    program = os.environ.get("CASEBOOK_AZURITE") or shutil.which("azurite")
    if not program:
        pytest.skip("no azurite: npm install azurite, and name it in CASEBOOK_AZURITE")
    ports = [free_port() for _ in range(3)]
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost=127.0.0.1"]
    options += [f"--{kind}Port={port}" for kind, port in zip(("blob", "queue", "table"), ports, strict=True)]
    command = [program, *options, "--location", str(folder)]
    with served(command, ports[0], {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}) as port:
        yield port


@dataclass
class Line:
    """A line to a server that breaks after so many bytes of answers, in turn; and what happens then."""

    port: int
    target: int
    cuts: list[int] = field(default_factory=list)
    on_cut: Callable[[], None] | None = None
    slow: float = 0  # seconds a piece
    carried: int = 0


@contextmanager
def line_to(target: int) -> Iterator[Line]:
    """Put a line that can break before a server."""
    made = Line(0, target)

    class Piece(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", made.target)) as server:
                Thread(target=forward, args=(self.request, server), daemon=True).start()
                while data := server.recv(1 << 16):
                    made.carried += len(data)
                    if made.cuts and made.carried > made.cuts[0]:
                        made.cuts.pop(0)
                        if made.on_cut:
                            made.on_cut()
                        self.request.shutdown(socket.SHUT_RDWR)
                        return
                    self.request.sendall(data)
                    time.sleep(made.slow)

    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), Piece) as server:
        made.port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def forward(source: socket.socket, sink: socket.socket) -> None:
    """Carry what a client says."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
