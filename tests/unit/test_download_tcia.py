"""The Cancer Imaging Archive, played by a server of our own: `tcia_utils` and we talk to it over TLS and a proxy."""

import datetime
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from workflow_scripts.collections.collection import card
from workflow_scripts.command import Refusal
from workflow_scripts.download import tcia

pytest.importorskip("tcia_utils", reason="tcia_utils is not installed: pip install tcia-utils")

PATHDB, WEB = "pathdb.cancerimagingarchive.net", "cancerimagingarchive.net"
NAME = "Brain-Mets-Lung-MRI-Path-Segs"
DOI = "10.7937/k0sm-y874"
PAGE = f"https://www.{WEB}/collection/{NAME.lower()}/"
ABOUT = replace(card("ddti"), name="brain-mets-lung", doi=DOI, homepage=PAGE, size_bytes=10)
FASPEX = f"https://faspex.{WEB}/aspera/faspex/public/package?context=abc"


@dataclass
class Archive:
    """What the server holds, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)  # after so many bytes of a body the connection breaks
    version: str | None = '"1"'  # None: neither size nor ETag are told, and ranges are not served
    then: dict[str, bytes] = field(default_factory=dict)  # new contents, from the first cut on
    broken: str = "(none)"  # the lists whose URL has this in it answer 500
    nested: bool = True  # the page holds its downloads, or only their numbers
    ranges: list[str | None] = field(default_factory=list)

    def lists(self, host: str, path: str, query: dict[str, list[str]]) -> Any:
        """Return a list as the archive's interfaces write it, or None."""
        offers = [
            {
                "id": 1,
                "download_title": "Clinical",
                "download_url": f"https://www.{WEB}/wp-content/Table 1.xlsx",
            },
            {"id": 2, "download_title": "Radiology", "download_url": FASPEX},
        ]
        if (host, path) == (PATHDB, "/collections"):
            changed = [{"value": "2025-11-13T00:00:00+00:00"}]
            return [{"name": [{"value": NAME}], "tid": [{"value": 77}], "changed": changed}]
        if (host, path) == (PATHDB, "/listofimages/77"):
            slides = [_slide(name) for name in sorted(self.files) if name.endswith("svs")]
            return slides if query["page"] == ["0"] else []
        if (host, path) == (WEB, "/api/v2/collections/"):
            assert query["search"] == ["brain-mets-lung"]
            page: dict[str, Any] = {"collection_doi": DOI.upper(), "collection_short_title": NAME}
            page |= {"collection_downloads": offers if self.nested else [1, 2]}
            other = {"collection_doi": "10.7937/other", "collection_downloads": [9]}
            return {"results": [other, page], "total_pages": 1, "page": 1}
        if (host, path) == (WEB, "/api/v2/downloads/"):
            assert query["id"] == ["1,2"]
            return {"results": offers, "total_pages": 1, "page": 1}
        return None


def _slide(name: str) -> dict[str, Any]:
    values = {"studyid": NAME, "clinicaltrialsubjectid": "P", "imageid": name, "nid": 1}
    values |= {"imagedvolumeheight": 9, "imagedvolumewidth": 9}
    values |= {"created": "2025-11-13T00:00:00+0000", "changed": "2025-11-13T00:00:00+0000"}
    slide: dict[str, Any] = {key: [{"value": value}] for key, value in values.items()}
    # as the archive really writes them: without TLS
    return slide | {
        "field_collection": [{"target_id": 77}],
        "field_wsiimage": [{"url": f"http://{PATHDB}/system/files/wsi/{name}"}],
    }


class Handler(BaseHTTPRequestHandler):
    """A proxy that is every host itself."""

    protocol_version = "HTTP/1.1"
    archive: Archive
    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:
        """Take over as the host that was asked for."""
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_HEAD(self) -> None:
        """Describe a file."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with a list or a file; whole, in part, or broken off."""
        url, archive = urlsplit(self.path), self.archive
        listed = archive.lists(self.headers["Host"], url.path, parse_qs(url.query))
        if listed is not None:
            body = json.dumps(listed).encode()
            self.send_response(500 if archive.broken in self.path else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        body = archive.files[Path(url.path).name.replace("%20", " ")]
        start = 0
        if self.command == "GET":
            archive.ranges.append(self.headers["Range"])
        if archive.version and self.headers["If-Range"] == archive.version:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if archive.version:
            self.send_header("ETag", archive.version)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body) - start))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = archive.cuts.pop(0) if archive.cuts else None
        part = body[start:][:cut]
        self.wfile.write(part if archive.version else b"%x\r\n%s\r\n" % (len(part), part))
        if cut is None:
            self.wfile.write(b"" if archive.version else b"0\r\n\r\n")
            return
        if archive.then:
            archive.files |= archive.then
            archive.version = '"2"'
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def certificate(folder: Path) -> Path:
    """Write a key and a certificate for the archive's hosts, good for a day."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, WEB)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in (WEB, f"*.{WEB}")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.pem").write_bytes(private + made.public_bytes(pem))
    return folder / "tls.pem"


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Run the server as the proxy of all traffic over TLS."""
    rng = np.random.default_rng(0)
    held = Archive({"a 1.svs": rng.bytes(3_000_000), "b.svs": rng.bytes(1000), "Table 1.xlsx": rng.bytes(500)})
    pem = certificate(tmp_path_factory.mktemp("tls"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"archive": held, "tls": tls}))
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield held
    server.shutdown()
    server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("nested", [True, False])
def test_slides_and_tables_are_fetched_and_the_rest_is_named(archive: Archive, tmp_path: Path, nested: bool) -> None:
    """Over TLS, though the archive's own links have none; a second time nothing is fetched."""
    archive.nested = nested
    assert tcia.download(ABOUT, tmp_path) == (3, [f"Radiology: {FASPEX}"])
    assert contents(tmp_path) == archive.files
    assert tcia.download(ABOUT, tmp_path)[0] == 0


def test_a_broken_connection_goes_on_where_it_was(archive: Archive, tmp_path: Path) -> None:
    """What arrived is not fetched again."""
    del archive.files["b.svs"]
    archive.cuts = [300_000, 2_000_000]
    archive.files["Table 1.xlsx"] = b""
    assert tcia.download(ABOUT, tmp_path)[0] == 2
    assert contents(tmp_path) == archive.files
    block = 1 << 16
    first = 300_000 // block * block
    second = first + 2_000_000 // block * block
    assert [asked for asked in archive.ranges if asked] == [f"bytes={first}-", f"bytes={second}-"]


def test_an_interrupted_run_is_taken_up_by_the_next(archive: Archive, tmp_path: Path) -> None:
    """NAME.part with the version it is of is enough."""
    whole = archive.files["a 1.svs"]
    (tmp_path / "a 1.svs.part").write_bytes(whole[:7])
    (tmp_path / "a 1.svs.part.version").write_text('"1"')
    tcia.download(ABOUT, tmp_path)
    assert contents(tmp_path) == archive.files
    assert "bytes=7-" in archive.ranges


def test_a_part_of_another_version_is_not_gone_on_with(archive: Archive, tmp_path: Path) -> None:
    """Neither one from an earlier run nor one that changes on the way: two versions are never mixed."""
    (tmp_path / "b.svs.part").write_bytes(b"old")
    (tmp_path / "b.svs.part.version").write_text('"0"')
    archive.cuts, archive.then = [100] * 3, {"a 1.svs": b"new" * 300, "b.svs": b"newer", "Table 1.xlsx": b"newest" * 50}
    tcia.download(ABOUT, tmp_path)
    assert contents(tmp_path) == archive.files
    assert archive.files["b.svs"] == b"newer"


def test_a_server_that_tells_neither_size_nor_version(archive: Archive, tmp_path: Path) -> None:
    """As the archive's has been seen: a broken file begins anew, and no half one is taken for whole."""
    archive.version, archive.cuts = None, [900]
    tcia.download(replace(ABOUT, size_bytes=None), tmp_path)
    assert contents(tmp_path) == archive.files
    with pytest.raises(Refusal, match="the set takes"):
        tcia.download(replace(ABOUT, size_bytes=10**18), tmp_path)


@pytest.mark.parametrize("broken", ["/", "page=1"])
def test_an_archive_in_trouble_is_one_line_with_a_way_out(archive: Archive, tmp_path: Path, broken: str) -> None:
    """The library logs errors and returns nothing, or half: that is not taken for what the collection has."""
    archive.broken = broken
    with pytest.raises(Refusal, match="download by hand from https://www"):
        tcia.download(ABOUT, tmp_path)


def test_another_collection_is_not_taken_for_this_one(archive: Archive, tmp_path: Path) -> None:
    """Names are alike; the DOI decides."""
    with pytest.raises(Refusal, match="no collection of doi:10.7937/gone"):
        tcia.download(replace(ABOUT, doi="10.7937/gone"), tmp_path)


def test_an_unreachable_archive_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No traceback of five libraries."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Refusal, match="cannot be reached"):
        tcia.download(ABOUT, tmp_path)
