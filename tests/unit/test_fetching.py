"""Fetching by URL, from a server in this process that also misbehaves."""

import gzip
import hashlib
import json
import logging
import multiprocessing
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.fixtures import scan
from workflow_scripts import fetching
from workflow_scripts.fetching import Fetcher, FetchRules, NotFetched

PNG, OTHER_PNG = (cv2.imencode(".png", scan(seed)[0])[1].tobytes() for seed in (1, 2))
HTML = b"<!doctype html><title>Sign in</title>"


class Page(BaseHTTPRequestHandler):
    """Answers as the site was told to, and remembers what it was asked."""

    server: "Site"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        answers = self.server.answers[self.path.partition("?")[0]]
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_: Any) -> None:
        pass


Answer = Callable[[Page], None]


class Site(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.answers: dict[str, list[Answer]] = {"/a.png": [gives()]}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.place = f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        pass  # the client hung up, as it should

    def answer(self, *answers: Answer) -> str:
        """Return a URL that answers so, in turn and with the last one ever after."""
        path = f"/{len(self.answers)}.png"
        self.answers[path] = list(answers)
        return f"http://{self.place}{path}"


def gives(body: bytes = PNG, status: int = 200, **headers: str | int) -> Answer:
    def answer(page: Page) -> None:
        page.send_response(status)
        default: dict[str, str | int] = {"Content_Type": "image/png", "Content_Length": len(body)}
        for name, value in (default | headers).items():
            if value:
                page.send_header(name.replace("_", "-"), str(value))
        page.end_headers()
        page.wfile.write(body)

    return answer


def moved(to: str) -> Answer:
    return gives(b"", 302, Location=to)


def raw(start: bytes, drop: bytes = b"", pause: float = 0) -> Answer:
    """Return an answer of exactly these bytes, and then of `drop` for ever."""

    def answer(page: Page) -> None:
        page.wfile.write(start)
        while drop:
            page.wfile.write(drop)
            time.sleep(pause)

    return answer


def resets(page: Page) -> None:
    page.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    page.connection.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.shutdown()
        thread.join()


def rules(site: Site, **changes: Any) -> FetchRules:
    here = {"hosts": [site.place], "private": [site.place], "max_mb": 0.1, "timeout_s": 20}
    return FetchRules.of({**here, "max_redirects": 3, "offline": False, **changes})


def refusal(fetcher: Fetcher, url: str, **options: Any) -> str:
    with pytest.raises(NotFetched) as caught:
        fetcher.fetch(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not [path for path in fetcher.cache.glob("*") if path.read_bytes() not in (PNG, OTHER_PNG, b"")]
    return message


@pytest.fixture
def fetcher(site: Site, tmp_path: Path) -> Fetcher:
    return Fetcher(rules(site), tmp_path / "cache")


def test_a_picture_is_fetched_once_and_then_kept(site: Site, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # of the environment: not used
    url = f"http://{site.place}/a.png"
    path = fetcher.fetch(url)
    assert path == fetcher.cache / hashlib.sha256(url.encode()).hexdigest()
    assert path.read_bytes() == PNG
    assert json.loads(path.with_suffix(".json").read_text()) == {"sha256": hashlib.sha256(PNG).hexdigest(), "url": url}
    assert fetcher.fetch(f"{url}#top") == path
    assert len(site.asked) == 1
    assert site.headers[0]["Host"] == site.place


def test_a_damaged_copy_is_fetched_again_and_must_be_the_same(site: Site, fetcher: Fetcher) -> None:
    url = site.answer(gives(), gives(), gives(OTHER_PNG))
    path = fetcher.fetch(url)
    path.write_bytes(PNG[:50])
    assert fetcher.fetch(url).read_bytes() == PNG
    path.unlink()
    with pytest.raises(NotFetched, match=r"has the hash \w{64}, expected .*; if the change .* \w{64}\.json"):
        fetcher.fetch(url)
    path.with_suffix(".json").write_text("[")  # killed while writing, on a disk that was full: as if there were none
    assert fetcher.fetch(url).read_bytes() == OTHER_PNG


def test_a_given_hash_decides(site: Site, fetcher: Fetcher) -> None:
    url, right = f"http://{site.place}/a.png", hashlib.sha256(PNG).hexdigest()
    assert "expected 0000" in refusal(fetcher, url, sha256="0" * 64)
    assert not fetcher.cache.exists()
    path = fetcher.fetch(url, sha256=right.upper())
    assert "correct the hash" in refusal(Fetcher(rules(site), path.parent / "new"), url, sha256="0" * 64)
    with pytest.raises(NotFetched, match="expected 0000"):
        fetcher.fetch(url, sha256="0" * 64)
    assert fetcher.fetch(url).read_bytes() == PNG
    assert len(site.asked) == 4


def test_offline_only_the_cache_answers(site: Site, fetcher: Fetcher) -> None:
    offline, url = Fetcher(rules(site, offline=True), fetcher.cache), f"http://{site.place}/a.png"
    assert refusal(offline, url).endswith("fetch.offline is true; fetch it once with fetch.offline: false")
    path = fetcher.fetch(url)
    assert offline.fetch(url) == path
    path.write_bytes(PNG[:50])
    with pytest.raises(NotFetched, match="no copy of it with the right content"):
        offline.fetch(url)
    assert len(site.asked) == 1


def _fetch(arguments: tuple[FetchRules, Path, str]) -> bytes:
    return Fetcher(*arguments[:2]).fetch(arguments[2]).read_bytes()


def test_two_processes_may_fetch_one_url(site: Site, tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def both(page: Page) -> None:
        together.wait(60)  # neither gets an answer before both have asked
        gives()(page)

    job = (rules(site, timeout_s=60), tmp_path / "cache", site.answer(both))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(_fetch, [job, job])) == [PNG, PNG]
    assert len(site.asked) == 2
    assert sorted(path.suffix for path in job[1].iterdir()) == ["", ".json"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://b.test/a.png?q=1",
            "http://b.test/a.png: its host is not permitted; add b.test to fetch.hosts",
        ),
        ("http://127.0.0.1/a.png", "add 127.0.0.1 to fetch.hosts"),  # another port than the permitted one
        ("https://sub.example.org:8443/a.png", "add sub.example.org:8443 to fetch.hosts"),
        ("http://example.org/a.png", "its host is not permitted"),  # *.example.org is what lies within
        ("http://sub.example.org.evil.test/a.png", "its host is not permitted"),
        ("http://127.0.0.1\\@sub.example.org/a.png", "127.0.0.1/%5C@sub.example.org/a.png: its host is not permitted"),
        ("http://sub.example.org@evil.test/a.png", "http://evil.test/a.png: the URL holds a user"),
        ("http://nurse:pw@sub.example.org/a.png", "http://sub.example.org/a.png: the URL holds a user or a password"),
        ("file:///etc/hostname", "only http and https are fetched"),
        ("ftp://sub.example.org/a\n.png", "only http and https"),
        ("a.png", "expected https://host/path"),
        ("http://sub.exa mple.org/a.png?sig=1", "it cannot be read; expected https://host/path"),
        ("http://[::1/a.png", "it cannot be read"),
    ],
)
def test_only_what_was_named_is_asked(tmp_path: Path, site: Site, url: str, message: str) -> None:
    assert message in refusal(Fetcher(rules(site, hosts=["*.EXAMPLE.org"]), tmp_path), url)


PERMITTABLE = (
    *("127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "10.1.2.3", "172.16.0.1", "192.168.0.1"),
    *("100.64.0.1", "[::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::a00:1]", "[2002:7f00:1::]", "localhost"),
)
NEVER = (
    *("0.0.0.0", "169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "[::]", "[fe80::1]", "[ff02::1]", "[fec0::1]", "[64:ff9b:1::1]", "[::127.0.0.1]"),
)


@pytest.mark.parametrize("host", PERMITTABLE + NEVER)
def test_the_own_network_is_out_of_bounds(tmp_path: Path, site: Site, host: str) -> None:
    place = f"{host}:{site.server_port}"
    message = refusal(Fetcher(rules(site, hosts=[place], private=[]), tmp_path), f"http://{place}/a.png")
    assert "which is not on the open Internet" in message
    assert (f"add {place} to fetch.private" in message) == (host in PERMITTABLE)


def test_a_name_of_this_machine_must_be_permitted_twice(tmp_path: Path, site: Site) -> None:
    place = f"localhost:{site.server_port}"
    assert Fetcher(rules(site, hosts=[place], private=[place]), tmp_path).fetch(f"http://{place}/a.png").is_file()
    assert "to fetch.hosts" in refusal(Fetcher(rules(site, private=[place]), tmp_path / "b"), f"http://{place}/a.png")


@pytest.mark.parametrize("host", NEVER)
def test_some_addresses_are_nobody_s_to_permit(tmp_path: Path, site: Site, host: str) -> None:
    open_to_all = Fetcher(rules(site, hosts=[host], private=[host]), tmp_path)
    assert "no rule permits that" in refusal(open_to_all, f"http://{host}/a.png")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_the_connection_goes_to_the_address_that_was_checked(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The Internet is played by the local server; the name server answers otherwise from the second question on."""
    answers, reached, connect = [address], [], socket.create_connection

    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop() if answers else "127.0.0.1", 80))]

    def play(place: tuple[str, int], timeout: float) -> socket.socket:
        monkeypatch.undo()
        reached.append(place)
        return connect(("127.0.0.1", site.server_port), timeout)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", play)
    fetcher = Fetcher(rules(site, hosts=["*.example.org"]), tmp_path)
    assert fetcher.fetch("http://cdn.example.org/a.png").read_bytes() == PNG
    assert reached == [(address, 80)]
    assert site.headers[0]["Host"] == "cdn.example.org"


def test_a_certificate_must_be_of_the_host(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "localhost.pem", "localhost"))
    context.sni_callback = lambda _, name, __: asked.append(name)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    places = [f"{host}:{site.server_port}" for host in ("localhost", "127.0.0.1")]
    here = rules(site, hosts=places, private=places, timeout_s=60)
    assert "its certificate does not hold" in refusal(Fetcher(here, tmp_path / "a"), f"https://{places[0]}/a.png")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    assert Fetcher(here, tmp_path / "a").fetch(f"https://{places[0]}/a.png").read_bytes() == PNG
    assert "its certificate does not hold" in refusal(Fetcher(here, tmp_path / "b"), f"https://{places[1]}/a.png")
    assert "localhost" in asked
    drips = site.answer(raw(b"HTTP/1.0 200 OK\r\n\r\n" + PNG, b".", 0.05)).rpartition("/")[2]
    quick = Fetcher(rules(site, hosts=places, private=places, timeout_s=0.5), tmp_path / "b")
    assert "longer than fetch.timeout_s" in refusal(quick, f"https://{places[0]}/{drips}")


def certificate(path: Path, name: str) -> Path:
    """Write a key and its own certificate for one name."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, who = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) - timedelta(1)).not_valid_after(datetime.now(UTC) + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
    text = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spelling = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *spelling) + text)
    return path


def test_redirects_are_followed_where_all_of_them_are_permitted(site: Site, fetcher: Fetcher) -> None:
    assert fetcher.fetch(site.answer(moved("/a.png?sig=1"))).read_bytes() == PNG
    assert site.asked[-1] == "/a.png?sig=1"
    fetcher = Fetcher(rules(site, hosts=[site.place, "127.0.0.2"]), fetcher.cache / "new")
    for to, message in [
        ("http://evil.test/a.png", r"add evil\.test to fetch\.hosts"),
        ("//evil.test/a.png", r"\(127\.0\.0\.1 redirects there\)"),
        ("http://127.0.0.2/a.png", r"leads to 127\.0\.0\.2, .* add 127\.0\.0\.2 to fetch\.private"),
        ("file:///etc/hostname", "only http and https"),
        (f"http://a:b@{site.place}/a.png", "holds a user or a password"),
        ("http://[::1/", r"127\.0\.0\.1.* it cannot be read"),
        ("", "more redirects than fetch.max_redirects, which is 3"),  # to itself
    ]:
        with pytest.raises(NotFetched, match=message):
            fetcher.fetch(site.answer(moved(to)))
    assert len(site.asked) == 2 + 6 + 4


@pytest.mark.parametrize(
    ("said", "drop", "pause"),
    [(f"Content-Length: {10**12}\r\n", b".", 0.05), ("", bytes(4096), 0)],  # the first would last beyond the time
    ids=["said", "endless"],
)
def test_what_is_too_large_is_not_read_to_its_end(
    site: Site, fetcher: Fetcher, said: str, drop: bytes, pause: float
) -> None:
    url = site.answer(raw(f"HTTP/1.0 200 OK\r\n{said}\r\n".encode() + PNG, drop, pause))
    assert "larger than fetch.max_mb, which is 0.1" in refusal(fetcher, url)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x"),  # in the head, where no limit on a read counts
        (b"HTTP/1.1 200 OK\r\n\r\n" + PNG, b"."),  # cut off, it looks whole: a PNG may have bytes behind its end
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n.\r\n"),
    ],
    ids=["head", "body", "chunks"],
)
def test_a_slow_drip_ends_with_the_time(site: Site, tmp_path: Path, start: bytes, drop: bytes) -> None:
    quick = Fetcher(rules(site, timeout_s=0.4), tmp_path)
    message = refusal(quick, site.answer(raw(start, drop, 0.05)))
    assert "it took longer than fetch.timeout_s, which is 0.4" in message
    assert len(site.asked) == 1


def test_types_must_fit_in_word_and_in_bytes(site: Site, fetcher: Fetcher) -> None:
    for url, message in [
        (site.answer(gives(HTML, Content_Type="text/html; charset=utf-8")), "says 'text/html', expected image/"),
        (site.answer(gives(Content_Type="text/html")), "it may be a page to sign in"),
        (site.answer(gives(HTML)), "the bytes are no picture we know, expected image/"),
        (site.answer(gives(b"BMI of the patients\n" + bytes(20))), "no picture we know"),
        (site.answer(gives(bytes(128) + b"DICM")), "the bytes are application/dicom, expected image/"),
        (site.answer(gives(gzip.compress(PNG), Content_Encoding="gzip")), "the server compresses what it sends"),
        (site.answer(gives(b"")), "no picture we know"),
    ]:
        assert message in refusal(fetcher, url)
    assert {sent["Accept-Encoding"] for sent in site.headers} == {"identity"}
    pictures = [cv2.imencode(f".{kind}", scan(1)[0])[1].tobytes() for kind in ("png", "jpg", "bmp", "tiff", "webp")]
    for body in pictures:
        assert fetcher.fetch(site.answer(gives(body, Content_Type="application/octet-stream"))).read_bytes() == body
    assert fetcher.fetch(site.answer(gives(Content_Type=""))).is_file()
    dicom = site.answer(gives(bytes(128) + b"DICM", Content_Type="application/dicom"))
    assert fetcher.fetch(dicom, types=("image/", "application/dicom")).is_file()
    with pytest.raises(NotFetched, match="the bytes are application/dicom, expected image/"):
        fetcher.fetch(dicom)  # in the cache, but not asked for


def test_trouble_of_the_server_is_waited_out(site: Site, fetcher: Fetcher) -> None:
    cut = raw(b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n" + PNG[:200])
    chunk = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + PNG[:200])
    for trouble in (gives(b"", 500), resets, cut, chunk):
        assert fetcher.fetch(site.answer(trouble, gives())).read_bytes() == PNG
    assert len(site.asked) == 8


def test_not_for_ever_and_not_where_it_is_our_fault(site: Site, tmp_path: Path) -> None:
    fetcher = Fetcher(rules(site), tmp_path)
    cut = site.answer(raw(b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n" + PNG[:200]))
    assert "nothing whole came in 4 tries (the body ends 700 bytes early)" in refusal(fetcher, cut)
    assert len(site.asked) == 4
    assert "the server answers 403, expected 200" in refusal(fetcher, site.answer(gives(b"", 403)))
    assert len(site.asked) == 5


def test_a_query_is_sent_and_nowhere_seen(
    site: Site,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "PAUSES", (0.0, 0.0))
    caplog.set_level(logging.DEBUG)
    fetcher, secret = Fetcher(rules(site, timeout_s=2), tmp_path), "?sig=sesame#sesame"
    assert fetcher.fetch(f"http://{site.place}/a.png{secret}").is_file()
    assert site.asked == ["/a.png?sig=sesame"]
    odd = raw(b"HTTP/1.1 200 OK\r\n: no name\r\nno colon\r\n\r\n")
    away = moved("http://evil.test/?sig=sesame")
    answers = (away, odd, gives(HTML), gives(b"", 404), gives(b"", 503), raw(b"sesame"))
    urls = [site.answer(answer) for answer in answers]
    urls += [site.answer(raw(b"HTTP/1.1 200 OK\r\n", b"x", 0.05)), "http://evil.test/a", "http://e vil/", "gopher://x/"]
    for url in urls:
        with pytest.raises(NotFetched) as caught:
            fetcher.fetch(url + secret)
        assert "sesame" not in "".join(traceback.format_exception(caught.value))
    assert "sesame" not in caplog.text + "".join(capfd.readouterr())
    assert all(b"sesame" not in path.name.encode() + path.read_bytes() for path in tmp_path.iterdir())
