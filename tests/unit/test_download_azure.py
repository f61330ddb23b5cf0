"""Stanford's way of giving out data: a container behind a SAS link, played by Azurite, behind a line that breaks."""

import datetime
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.servers import ACCOUNT, KEY, Line, azurite_in, free_port, line_to
from workflow_scripts import download_aimi_samples
from workflow_scripts.collections.collection import card
from workflow_scripts.command import Refusal
from workflow_scripts.download import azure

blob = pytest.importorskip("azure.storage.blob", reason="azure-storage-blob is not installed")

ABOUT = replace(card("thyroid-cineclip"), size_bytes=None)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run Azurite and return its port."""
    with azurite_in(tmp_path_factory.mktemp("azurite")) as port:
        yield port


@pytest.fixture
def line(azurite: int) -> Iterator[Line]:
    """Put a line that can break before Azurite."""
    with line_to(azurite) as made:
        yield made


@dataclass
class Shop:
    """A container with files, and the link to it."""

    client: Any
    port: int
    signature: str = ""

    def put(self, name: str, data: bytes, md5: bytes | None = None) -> None:
        """Put a file there; `md5` as if it were its digest."""
        made = self.client.upload_blob(name, data, overwrite=True)
        if md5:
            made.set_http_headers(blob.ContentSettings(content_md5=bytearray(md5)))

    def link(self, path: str = "", hours: int = 1, may: str = "rl") -> str:
        """Return a SAS link, good for so many hours."""
        name = self.client.container_name
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
        end = start + datetime.timedelta(days=2, hours=hours)
        token = blob.generate_container_sas(ACCOUNT, name, KEY, permission=may, start=start, expiry=end)
        self.signature = token.rpartition("sig=")[2]
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}/{name}{path}?{token}"


@pytest.fixture
def shop(azurite: int, line: Line, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a container of a small data set, its link in the environment."""
    account = blob.BlobServiceClient(
        f"http://127.0.0.1:{azurite}/{ACCOUNT}", {"account_name": ACCOUNT, "account_key": KEY}
    )
    made = Shop(account.create_container(f"set-{secrets.token_hex(4)}"), line.port)
    made.put("metadata.csv", b"annot_id\n1_\n")
    made.put("Videos/a b & (1)%.avi", b"moving")
    made.put("Videos/empty", b"")
    made.put("Videos", b"")  # a folder's mark, as stores with folders keep it
    monkeypatch.setenv(azure.HOST, "127.0.0.1")
    monkeypatch.setenv(azure.LINK, made.link())
    return made


def big(seed: int = 0, size: int = 20_000_000) -> bytes:
    """Return noise of several blocks."""
    return np.random.default_rng(seed).bytes(size)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder by its relative name, but those that prepare writes."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name not in ("README.txt", ".gitignore")}


def test_a_container_is_fetched_once_and_the_link_is_nowhere(
    shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whole and under its own names; not in a file, not on the screen, not in the finest log."""
    caplog.set_level(logging.DEBUG)
    command = ["--dataset", "thyroid-cineclip", "--download", "--to", str(tmp_path)]
    download_aimi_samples.main(command)
    wanted = {"metadata.csv": b"annot_id\n1_\n", "Videos/a b & (1)%.avi": b"moving", "Videos/empty": b""}
    assert files(tmp_path) == wanted
    download_aimi_samples.main(command)
    said = capfd.readouterr()
    assert "3 files fetched" in said.out
    assert "0 files fetched" in said.out
    everything = said.out + said.err + caplog.text + (tmp_path / "README.txt").read_text()
    assert shop.signature not in everything
    assert "sig=" not in everything


def test_a_part_of_the_container(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder or a file, named in the link; what only begins like it stays out."""
    shop.put("Videos2/c.avi", b"other")
    monkeypatch.setenv(azure.LINK, shop.link("/Videos/"))
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path) == {"a b & (1)%.avi": b"moving", "empty": b""}
    monkeypatch.setenv(azure.LINK, shop.link("/Videos2/c.avi"))
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path)["c.avi"] == b"other"
    monkeypatch.setenv(azure.LINK, shop.link("/nothing"))
    with pytest.raises(Refusal, match="leads to no file"):
        azure.download(ABOUT, tmp_path)


def test_a_broken_line_goes_on_where_it_was(shop: Shop, line: Line, tmp_path: Path) -> None:
    """Several times; little is carried twice."""
    shop.put("dataset.hdf5", data := big())
    line.cuts = [6_000_000, 13_000_000]
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path)["dataset.hdf5"] == data
    assert not line.cuts
    assert line.carried < len(data) + 3 * 4_300_000


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on_where_it_was(shop: Shop, line: Line, tmp_path: Path, end: signal.Signals) -> None:
    """Killed without warning, or by Ctrl-C, which is answered with one line; the next run asks only for the rest."""
    shop.put("dataset.hdf5", data := big())
    line.slow = 0.005
    command = [sys.executable, "-m", "workflow_scripts.download_aimi_samples", "--dataset", "thyroid-cineclip"]
    command += ["--download", "--to", str(tmp_path)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "dataset.hdf5.part"
    while first.poll() is None and not (part.is_file() and part.stat().st_size >= 8_000_000):
        time.sleep(0.01)
    first.send_signal(end)
    said = first.communicate()[1]
    assert "Traceback" not in said
    assert ("casebook: interrupted" in said) == (end == signal.SIGINT)
    assert shop.signature.encode() not in b"".join(files(tmp_path).values())
    have, line.slow, line.carried = part.stat().st_size, 0, 0
    assert 8_000_000 <= have < len(data)
    assert not (tmp_path / "dataset.hdf5").exists()
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path)["dataset.hdf5"] == data
    assert not part.exists()
    assert line.carried < len(data) - have + 100_000


def test_a_file_that_changes_on_the_way_begins_anew(shop: Shop, line: Line, tmp_path: Path) -> None:
    """Two versions are never mixed (412), nor is a part of an older run gone on with."""
    shop.put("dataset.hdf5", big(1))
    line.cuts, line.on_cut = [9_000_000], lambda: shop.put("dataset.hdf5", big(2))
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path)["dataset.hdf5"] == big(2)
    (tmp_path / "dataset.hdf5").rename(tmp_path / "dataset.hdf5.part")
    (tmp_path / "dataset.hdf5.part.version").write_text('"0x1"')
    azure.download(ABOUT, tmp_path)
    assert files(tmp_path)["dataset.hdf5"] == big(2)


def test_a_damaged_file_does_not_get_its_name(shop: Shop, tmp_path: Path) -> None:
    """Its MD5 is not the store's: it is deleted, and said."""
    shop.put("dataset.hdf5", b"damaged", md5=b"0" * 16)
    with pytest.raises(Refusal, match="arrived damaged"):
        azure.download(ABOUT, tmp_path)
    assert not [name for name in files(tmp_path) if name.startswith("dataset")]


@pytest.mark.parametrize(("hours", "may"), [(-1, "rl"), (1, "r")])
def test_an_expired_or_narrow_link_sends_to_the_page(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int, may: str
) -> None:
    """The next step is said; the link is not."""
    monkeypatch.setenv(azure.LINK, shop.link(hours=hours, may=may))
    with pytest.raises(Refusal, match=f"new link on {ABOUT.homepage}") as refusal:
        azure.download(ABOUT, tmp_path)
    assert shop.signature not in str(refusal.value)


class Elsewhere(BaseHTTPRequestHandler):
    """A server that answers every request with the status that the account is called, and repeats what it was asked."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Location", f"http://localhost:{self.server.server_port}/200/leaked?{self.path}")  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.mark.parametrize(
    ("account", "said"),
    [("403", "expired"), ("404", "not found"), ("302", "answers 302"), ("400", "answers 400"), ("200", "casebook")],
)
def test_whatever_a_server_answers_the_link_stays_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: str, said: str
) -> None:
    """Without Azurite: refused, not there, sent elsewhere, misunderstood, or no answer of a store at all."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(azure.HOST, "127.0.0.1")
    monkeypatch.setenv(azure.LINK, f"http://127.0.0.1:{server.server_port}/{account}/set?sp=rl&sig=s3cr%2Ft%3D")
    with pytest.raises(Refusal) as refusal:
        azure.download(ABOUT, tmp_path)
    server.shutdown()
    server.server_close()
    assert said in str(refusal.value)
    assert "s3cr" not in str(refusal.value)


def test_a_process_without_a_line_prints_one_line_without_the_link(tmp_path: Path) -> None:
    """As a user sees it: no traceback, nothing of the link, however finely it logs."""
    code = (
        "import logging; logging.basicConfig(level=0); from workflow_scripts.download_aimi_samples import main; main()"
    )
    command = [sys.executable, "-X", "dev", "-c", code, "--dataset", "thyroid-cineclip", "--download"]
    command += ["--to", str(tmp_path)]
    link = f"http://127.0.0.1:{free_port()}/account/set?sp=rl&sig=s3cr%2Ft%3D"
    environment = os.environ | {azure.LINK: link, azure.HOST: "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("casebook: ")
    assert "Traceback" not in done.stderr
    assert "s3cr" not in done.stderr + done.stdout
