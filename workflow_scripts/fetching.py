"""Pictures and masks by URL: from hosts that the user named and no other, kept with their hash.

The URLs stand in a table that somebody else wrote. So a host must be named, at every redirect again. Its addresses are
looked up and checked, and the connection goes to a checked address itself: a second look-up could answer otherwise.
Proxies of the environment are not used, for behind one nobody can say where a connection ends. A query may hold a
signature: it is sent, and neither shown nor stored.
"""

import hashlib
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

from urllib3.util import Url, parse_url

PORTS = {"http": 80, "https": 443}
PAUSES = (0.0, 0.25, 0.5, 1.0)  # s, before the first try and each of three more
UNSAID = ("application/octet-stream", "binary/octet-stream")  # from stores that were told no type: left to the bytes
NAT64 = IPv6Network("64:ff9b::/96")
MAGIC = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/bmp": rb"BM....\0{4}",  # two letters alone begin many a text
    "image/tiff": rb"II[*+]\0|MM\0[*+]",  # +: BigTIFF
    "image/webp": rb"RIFF....WEBP",
    "application/dicom": rb".{128}DICM",
}


class NotFetched(ValueError):
    """A URL gave no picture; one line says which, what was expected and how to mend it."""

    def __init__(self, url: Url, wrong: str, mend: str) -> None:
        """Say what is wrong with `url`, of which neither credentials nor query are shown."""
        shown = url._replace(auth=None, query=None, fragment=None).url
        super().__init__(" ".join(f"{shown}: {wrong}; {mend}".split()))


@dataclass(frozen=True)
class FetchRules:
    """From where, how much and how long; the options `fetch` of the configuration."""

    hosts: tuple[str, ...]  # a.org is its usual ports only, a.org:8443 is that one; *.a.org is all within, not a.org
    private: tuple[str, ...]  # those of them, spelt out, that may lie in the own network or on this machine
    max_mb: float  # of one file; a megabyte is 1,000,000 bytes
    timeout_s: float  # for the whole of one file, further tries too; looking up a name takes the system's own time
    max_redirects: int
    offline: bool  # only what the cache has

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "FetchRules":
        """Read the options as the configuration has them, every one of them given."""
        lower = {name: tuple(host.lower() for host in options[name]) for name in ("hosts", "private")}
        return cls(**{**options, **lower})


class Fetcher:
    """Fetches files by the rules and keeps them in a folder, which several processes may share."""

    def __init__(self, rules: FetchRules, cache: Path) -> None:
        """Take the rules and the folder, which is made when there is something to keep."""
        self.rules, self.cache = rules, cache
        self._tls = ssl.create_default_context()  # trusts what the system trusts, or what SSL_CERT_FILE names

    def fetch(self, url: str, sha256: str | None = None, types: tuple[str, ...] = ("image/",)) -> Path:
        """Return the file behind a URL, from the cache where that still has it.

        Parameters
        ----------
        url
            http or https, without credentials.
        sha256
            The hash that the content must have, in hex; by default the one that it had when it was first fetched.
        types
            How the media type may begin: ``("image/", "application/dicom")``.

        Raises
        ------
        NotFetched
            With one line; nothing new is kept then.
        """
        target = self._permitted(url)
        path = self.cache / hashlib.sha256(target.url.encode()).hexdigest()
        wanted = (sha256 or "").lower()
        with suppress(OSError, ValueError, LookupError, TypeError):  # no hash kept yet, or what was kept is damaged
            wanted = wanted or str(json.loads(path.with_suffix(".json").read_bytes())["sha256"])
        data = path.read_bytes() if path.is_file() else b""
        kept = hashlib.sha256(data).hexdigest() == wanted
        if not kept and self.rules.offline:
            wrong = "the cache has no copy of it with the right content, and fetch.offline is true"
            raise NotFetched(target, wrong, "fetch it once with fetch.offline: false")
        data = data if kept else self._follow(target, types)
        kind = next((name for name, start in MAGIC.items() if re.match(start, data, re.DOTALL)), "no picture we know")
        if not kind.startswith(types):
            raise NotFetched(target, f"the bytes are {kind}, expected {' or '.join(types)}", "open it and see")
        is_now = hashlib.sha256(data).hexdigest()
        if wanted and wanted != is_now:
            mend = "correct the hash" if sha256 else f"if the change is meant, delete {path.name}.json in the cache"
            raise NotFetched(target, f"the content has the hash {is_now}, expected {wanted}", mend)
        if not kept:
            about = {"sha256": is_now, "url": target._replace(query=None).url}
            _write(path, data)
            _write(path.with_suffix(".json"), json.dumps(about).encode())
        return path

    def _permitted(self, url: str, base: Url | None = None) -> Url:
        """Return the parts of a URL, seen from `base`, if its scheme and its host may be asked."""
        try:
            target = parse_url(urljoin(base.url if base else "", url))._replace(fragment=None)
        except ValueError:
            raise NotFetched(base or Url(host="URL"), "it cannot be read", "expected https://host/path") from None
        if target.scheme not in PORTS or not target.host:
            raise NotFetched(target, "only http and https are fetched", "expected https://host/path")
        if target.auth is not None:
            raise NotFetched(target, "the URL holds a user or a password", "take them out of it")
        place = _place(target)
        if not any(place == host or (host[:2] == "*." and place.endswith(host[1:])) for host in self.rules.hosts):
            whence = f" ({base.host} redirects there)" if base else ""
            raise NotFetched(target, f"its host is not permitted{whence}", f"add {place} to fetch.hosts")
        return target

    def _follow(self, target: Url, types: tuple[str, ...]) -> bytes:
        deadline = time.monotonic() + self.rules.timeout_s
        for _ in range(self.rules.max_redirects + 1):
            answer = self._try(target, types, deadline)
            if isinstance(answer, bytes):
                return answer
            target = self._permitted(answer, target)
        wrong = f"more redirects than fetch.max_redirects, which is {self.rules.max_redirects}"
        raise NotFetched(target, wrong, "give the URL at which they end")

    def _try(self, target: Url, types: tuple[str, ...], deadline: float) -> bytes | str:
        """Ask, and ask again where the connection breaks or the server has trouble."""
        for turn, pause in enumerate(PAUSES):
            time.sleep(min(pause, _left(deadline)))
            try:
                return self._ask(target, types, deadline, turn)
            except ssl.SSLCertVerificationError as error:
                mend = "have the system trust its authority, or name that in SSL_CERT_FILE"
                raise NotFetched(target, f"its certificate does not hold ({error.verify_message})", mend) from None
            except (OSError, HTTPException, UnicodeError) as error:  # UnicodeError: a host that cannot be looked up
                why = getattr(error, "strerror", None) or type(error).__name__  # not its text: it may hold the query
            if time.monotonic() >= deadline:
                wrong = f"it took longer than fetch.timeout_s, which is {self.rules.timeout_s:g}"
                raise NotFetched(target, wrong, "raise it, or try later")
        raise NotFetched(target, f"nothing whole came in {len(PAUSES)} tries ({why})", "see that its server is up")

    def _ask(self, target: Url, types: tuple[str, ...], deadline: float, turn: int) -> bytes | str:
        """Return the body, or the place that it has moved to."""
        host, port = str(target.host).strip("[]"), target.port or PORTS[str(target.scheme)]
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        private = _place(target) in self.rules.private
        for address in found:
            if not _reachable(address, private):
                may_be = _reachable(address, private=True)
                mend = f"if that is meant, add {_place(target)} to fetch.private" if may_be else "no rule permits that"
                raise NotFetched(target, f"its host leads to {address}, which is not on the open Internet", mend)
        # Half of the time, so that an address that swallows everything leaves some for the next.
        stream = socket.create_connection((found[turn % len(found)], port), _left(deadline) / 2)
        if target.scheme == "https":
            stream = self._tls.wrap_socket(stream, server_hostname=host)
        with stream:
            # A time limit on a read starts anew with every byte: only this ends a server that drips.
            watchdog = Timer(_left(deadline), _cut, (stream,))
            watchdog.start()
            try:
                return self._exchange(target, types, stream)
            finally:
                watchdog.cancel()
                if time.monotonic() >= deadline:
                    raise TimeoutError from None  # what was cut off may look whole

    def _exchange(self, target: Url, types: tuple[str, ...], stream: socket.socket) -> bytes | str:
        stream.settimeout(None)
        connection = HTTPConnection(str(target.host))
        connection.sock = stream  # connected already: it looks nothing up
        headers = {"Host": str(target.netloc), "Accept-Encoding": "identity", "User-Agent": "casebook"}
        connection.request("GET", target.request_uri, headers=headers)
        answer = connection.getresponse()
        if answer.status in (301, 302, 303, 307, 308):
            return answer.getheader("Location", "").encode("latin-1").decode("utf-8", "replace")
        if answer.status >= 500:
            raise OSError(0, f"the server answers {answer.status}")
        if answer.status != 200:
            mend = "see that the URL is right; a signed one may have run out"
            raise NotFetched(target, f"the server answers {answer.status}, expected 200", mend)
        if answer.getheader("Content-Encoding", "identity").lower() != "identity":
            raise NotFetched(target, "the server compresses what it sends", "have it send files as they are")
        said = answer.headers.get_content_type() if "Content-Type" in answer.headers else UNSAID[0]
        if not said.startswith((*types, *UNSAID)):
            wrong = f"the server says {said!r}, expected {' or '.join(types)}"
            raise NotFetched(target, wrong, "open it and see: it may be a page to sign in")
        limit = int(self.rules.max_mb * 1e6)
        body = b"" if (answer.length or 0) > limit else answer.read(limit + 1)
        if len(body) + (answer.length or 0) > limit:
            raise NotFetched(target, f"it is larger than fetch.max_mb, which is {self.rules.max_mb:g}", "raise that")
        if answer.length:
            raise OSError(0, f"the body ends {answer.length} bytes early")
        return body


def _place(target: Url) -> str:
    return f"{target.host}" if target.port in (None, PORTS[str(target.scheme)]) else f"{target.host}:{target.port}"


def _reachable(text: str, private: bool) -> bool:
    """Say whether an address is on the open Internet, or in the own network where that is permitted.

    An IPv4 address within an IPv6 one counts as itself. Link-local ones, where clouds keep credentials, never do.
    """
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        nat64 = IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
        address = address.ipv4_mapped or address.sixtofour or nat64 or address
    special = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    special = special or getattr(address, "is_site_local", False)  # which counts as global there
    return (address.is_global and not special) or (private and (address.is_loopback or not special))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}.part")  # a name of its own: two processes may fetch one URL
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.01)


def _cut(stream: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(stream, socket.SHUT_RDWR)  # not TLS's own, which would take the stream from its reader
