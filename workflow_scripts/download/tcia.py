"""The Cancer Imaging Archive: open to everybody. `tcia_utils` asks it what there is; the files are fetched here.

(The library's own `downloadImages` keeps half a file under its full name when it is interrupted, and takes it for whole
the next time.)
"""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from workflow_scripts.collections.collection import Card
from workflow_scripts.command import Refusal
from workflow_scripts.download.catalogue import size_text
from workflow_scripts.download.resume import Broken, Changed, Remote, fetch_all
from workflow_scripts.files import listing

DOMAIN = "cancerimagingarchive.net"
SECONDS = (20, 60)  # to connect, between two bytes
INSTALL = "tcia_utils is not installed: python -m pip install 'tcia-utils>=3'"


class Web:
    """Files behind plain URLs."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        """Take the URL of every file, by its name."""
        self._urls = urls

    def look(self, name: str) -> Remote:
        """Return how a file is now; a server may keep its size and version to itself."""
        with self._answer("HEAD", name, {}) as answer:
            size = answer.headers.get("Content-Length", "")
            version = _version(answer.headers) if answer.headers.get("Accept-Ranges") == "bytes" else None
            return Remote(name, int(size) if size.isdecimal() else None, version)

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        """Yield a file's bytes from `start` on."""
        # If-Range: the rest of this version, or the whole of another one
        asked = {"Range": f"bytes={start}-", "If-Range": remote.version or ""} if start else {}
        with self._answer("GET", remote.name, asked) as answer:
            if remote.version and (_version(answer.headers) != remote.version or (start and answer.status_code != 206)):
                raise Changed
            with _broken_off():
                yield from answer.iter_content(1 << 16)  # what a break costs

    @contextlib.contextmanager
    def _answer(self, method: str, name: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        with _broken_off():
            answer = requests.request(
                method,
                self._urls[name],
                headers={"Accept-Encoding": "identity", **headers},
                stream=True,
                timeout=SECONDS,
                allow_redirects=True,
            )
        with answer:
            if answer.status_code == 416:  # there is no rest of it: it became shorter
                raise Changed
            if answer.status_code >= 500 or answer.status_code == 429:
                raise Broken(f"{urlsplit(self._urls[name]).hostname} answers {answer.status_code}")
            if answer.status_code >= 400:
                raise Refusal(f"{name}: {self._urls[name]} answers {answer.status_code}; see the collection's page")
            yield answer


def download(about: Card, folder: Path) -> tuple[int, list[str]]:
    """Fetch the slides and tables of a collection into `folder`.

    Returns
    -------
    tuple
        How many files were fetched, and a line for every link that only a browser or Aspera's client can follow.
    """
    urls, others = links(about)
    store = Web(urls)
    try:
        remotes = [store.look(name) for name in urls]
    except Broken as error:
        raise Refusal(f"{error}; try later") from None
    here = sum(size for _, size, _ in listing(folder))
    free = shutil.disk_usage(folder).free
    if any(remote.size is None for remote in remotes) and (about.size_bytes or 0) - here > free:
        raise Refusal(f"{folder}: the set takes {size_text(about.size_bytes)}, but only {size_text(free)} are free")
    return fetch_all(store, remotes, folder), others


def links(about: Card) -> tuple[dict[str, str], list[str]]:
    """Return what the collection of a card's DOI offers: the URL of every file by its name, and other links as lines.

    Raises
    ------
    Refusal
        When `tcia_utils` is not installed, or the archive does not answer as it knows it.
    """
    by_hand = f"download by hand from {about.homepage}"
    try:
        from tcia_utils import pathdb, wordpress  # type: ignore[import-untyped]
    except ImportError:
        raise Refusal(INSTALL) from None
    errors = _Errors()
    try:
        pages = wordpress.getCollections(query=about.name, verbose=True)
        page = next((page for page in pages if str(page["collection_doi"]).lower().endswith(str(about.doi))), None)
        if page is None:
            raise Refusal(f"{DOMAIN} lists no collection of doi:{about.doi}; {by_hand}")
        offers = list(page["collection_downloads"])
        if offers and not isinstance(offers[0], dict):  # their numbers only
            offers = wordpress.getDownloads(ids=offers)
        offered = [(str(offer.get("download_title") or "download"), _url(offer)) for offer in offers]
        collections = pathdb.getCollections(query=page["collection_short_title"])
        slides = [slide for found in collections for slide in pathdb.getImages(int(found["collectionId"]))]
    except requests.RequestException as error:
        raise Refusal(f"{DOMAIN} cannot be reached ({type(error).__name__}); try later") from None
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        unlike = f"{DOMAIN} does not answer as tcia_utils knows it ({type(error).__name__}, and see its log above)"
        raise Refusal(f"{unlike}; try later, or {by_hand}") from None
    if errors.said:
        raise Refusal(f"{DOMAIN} did not tell all that it has ({errors.said[0]}); try later, or {by_hand}")
    if not slides:
        raise Refusal(f"{DOMAIN} lists no slide of {page['collection_short_title']}; try later, or {by_hand}")
    urls: dict[str, str] = {}
    others = []
    for title, url in [*(("slide", str(slide["imageUrl"])) for slide in slides), *offered]:
        name = PurePosixPath(unquote(urlsplit(url).path)).name
        host = urlsplit(url).hostname or ""
        if not f".{host}".endswith(f".{DOMAIN}") or not PurePosixPath(name).suffix:
            others += [f"{title}: {url}"] if url else []
        elif urls.setdefault(name, secure := f"https://{url.partition('://')[2]}") != secure:
            raise Refusal(f"{DOMAIN} lists two files called {name}; {by_hand}")
    return dict(sorted(urls.items())), others


class _Errors(logging.Handler):
    """What `tcia_utils` logs as errors: it then goes on as if what it has so far were all."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []
        log = logging.getLogger("tcia_utils")
        log.setLevel(logging.WARNING)
        log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def _url(offer: Mapping[str, Any]) -> str:
    file = offer.get("download_file")
    return str(offer.get("download_url") or (file.get("guid") if isinstance(file, dict) else "") or "")


def _version(headers: Mapping[str, str]) -> str | None:
    """Return what pins the version of a file: a weak ETag does not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


@contextlib.contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:
        raise Broken(f"the connection broke ({type(error).__name__})") from None
