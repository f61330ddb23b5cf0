"""What is written in another way than it reads: escapes, encodings, numbers that are a picture."""

import base64
import binascii
import html
import quopri
import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_to_bytes

import numpy as np

ESCAPE = re.compile(r"\\(?:u\{?([0-9A-Fa-f]{4,6})\}?|x([0-9A-Fa-f]{2})|([0-7]{3}))")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
BASE32 = re.compile(r"\b[A-Z2-7]{16,}=*")
HEX = re.compile(r"(?:(?:0x|\\x|%|#)?[0-9A-Fa-f]{2}[\s,:;-]{0,2}){8,}")
PERCENT = re.compile(r"(?:[^\s\"'<>%,]{0,40}%[0-9A-Fa-f]{2}){8,}[^\s\"'<>]*")
ASCII85 = re.compile(r"<~(.+?)~>", re.DOTALL)
BASE85 = re.compile(r"[0-9A-Za-z!#$%&()*+\-;<=>?@^_`{|}~]{30,}")
UUENCODED = re.compile(r"^begin [0-7]{3} .*?\n(.*?)^(?:`|\s*)\n?end", re.DOTALL | re.MULTILINE)
GLUE = re.compile(r"\\[nrt]|[\s\"'\\]|(?<=[\"'])\s*[+,]\s*(?=[\"'])")  # what may stand between the parts of one text
RUN = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
BETWEEN = re.compile(r"(?:[\s,;|\[\](){}\"'-]|null|nan|<[^<>]{0,80}>)*", re.IGNORECASE)
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}\b|rgba?\(")
LINES = re.compile(r"(?:^[\s\"'#*/>|-]*[A-Za-z0-9+/=_]{40,}[\s\"'+,\\;]*$\n?){3,}", re.MULTILINE)


def views(text: str) -> Iterator[str]:
    """Yield a text as it stands, and as it reads where escapes are resolved, those inside others as well."""
    yield text
    for _ in range(4):
        resolved = text
        if "\\" in resolved:
            resolved = ESCAPE.sub(_character, resolved)
        if "&" in resolved:
            resolved = html.unescape(resolved)
        if "%" in resolved:
            resolved = unquote(resolved, errors="replace")
        if re.search(r"=(?:\n|[0-9A-F]{2})", resolved):
            quoted = quopri.decodestring(resolved.encode("utf-8", "replace")).decode("utf-8", "replace")
            yield quoted
        if resolved == text:
            return
        text = resolved
        yield text


def _character(match: re.Match[str]) -> str:
    point = int(match[1] or match[2], 16) if not match[3] else int(match[3], 8)
    return chr(point) if point < 0x110000 else match[0]


def decoded(text: str) -> Iterator[tuple[int, bytes]]:
    """Yield (place, bytes) of all that decodes from base 64, 32, 85, hex or uuencode in a text."""
    joined = GLUE.sub("", text)
    for source, offsets, least in ((text, 1, 12), (joined, 4, 64)):
        for match in BASE64.finditer(source):
            run = match[0].rstrip("=").replace("-", "+").replace("_", "/")
            for offset in range(offsets if len(run) >= least else 0):
                part = run[offset:]
                usable = len(part) - (len(part) % 4 == 1)
                with_padding = part[:usable] + "=" * (-usable % 4)
                yield (match.start() if source is text else 0), base64.b64decode(with_padding)
    for pattern, decode in (
        (BASE32, lambda found: base64.b32decode(found.rstrip("=") + "=" * (-len(found.rstrip("=")) % 8))),
        (HEX, lambda found: bytes.fromhex(re.sub(r"0x|\\x|[^0-9A-Fa-f]", "", found))),
        (PERCENT, unquote_to_bytes),
        (BASE85, base64.b85decode),
        (BASE85, base64.a85decode),
        (UUENCODED, _from_uu),
    ):
        for match in pattern.finditer(text):
            try:
                yield match.start(), decode(match[0])
            except (ValueError, binascii.Error):
                continue
    for match in ASCII85.finditer(text):
        try:
            yield match.start(), base64.a85decode(match[1].encode("ascii", "ignore"), ignorechars=b" \t\n\r\v")
        except ValueError:
            continue


def _from_uu(found: str) -> bytes:
    lines = found.split("\n")[1:]
    return b"".join(binascii.a2b_uu(line) for line in lines if line and not line.startswith(("end", "`")))


def long_runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield (place, length) of what can only be encoded data: no text and no hash is so long without a break."""
    for match in RUN.finditer(text):
        yield match.start(), len(match[0])
    for match in LINES.finditer(text):
        yield match.start(), len(match[0])


def number_runs(text: str, least: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (place, numbers) where `least` numbers or more stand one after the other, nothing but marks between."""
    run: list[float] = []
    start, end = 0, -1
    for match in NUMBER.finditer(text):
        if end < 0 or not BETWEEN.fullmatch(text, end, match.start()) or match.start() == end:
            if len(run) >= least:
                yield start, np.array(run)
            run, start = [], match.start()
        run.append(float(match[0]))
        end = match.end()
    if len(run) >= least:
        yield start, np.array(run)
