"""What is inside files that hold others: archives, compressed streams, PDF, tables, arrays."""

import base64
import bz2
import io
import json
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LIMIT = 1 << 28  # bytes: what opens to more is not opened
CAN_BE_A_PICTURE = 64  # numbers: an array of more can be a picture

# What is inside: its name and its bytes, a text, or a structure; or, under "", a fault in words.
Part = tuple[str, bytes | str | list[Any]]


class TooMuch(ValueError):
    """Something opens to more than can be looked at."""


def inflate(data: bytes, start: Callable[[], Any]) -> bytes:
    """Return what a compressed stream at the start of `data` holds, and no more than `LIMIT` of it."""
    stream = start()
    found: bytes = stream.decompress(data, LIMIT)
    if len(found) >= LIMIT:
        raise TooMuch
    return found


def _zlib(bits: int) -> Callable[[bytes], bytes]:
    return lambda data: inflate(data, lambda: zlib.decompressobj(bits))


def _zstd(data: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        found: bytes = stream.read(LIMIT)
    return found


STREAMS: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _zlib(31)),
    (b"BZh[1-9]1AY&SY", "bzip2", lambda data: inflate(data, bz2.BZ2Decompressor)),
    (b"\xfd7zXZ\\x00", "xz", lambda data: inflate(data, lzma.LZMADecompressor)),
    (b"\\x28\xb5\x2f\xfd", "zstd", _zstd),
    (b"\x78[\x01\x5e\x9c\xda]", "zlib", _zlib(15)),
)
CLOSED = ((b"SQLite format 3", "SQLite"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"ARROW1", "Arrow"))


def kind_of(data: bytes) -> str | None:
    """Return what kind of container `data` is, by its first bytes (a ZIP: by its end); None where it is none."""
    if data[:5] == b"%PDF-":
        return "PDF"
    if data[:4] == b"PAR1":
        return "Parquet"
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        return "HDF5"
    if data[:6] == b"\x93NUMPY":
        return "NumPy"
    if data[257:262] == b"ustar":
        return "tar"
    if zipfile.is_zipfile(io.BytesIO(data)):
        return "ZIP"
    for magic, name, _ in STREAMS[:-1]:
        if re.match(magic, data, re.DOTALL):
            return name
    if len(data) > 9 and data[8:9] == b"{" and struct.unpack("<Q", data[:8])[0] < len(data):
        return "safetensors"
    return None


def parts(data: bytes) -> Iterator[Part]:
    """Yield what is inside `data`, wherever in it something that can be opened begins."""
    kind = kind_of(data)
    openers: dict[str, Callable[[bytes], Iterator[Part]]] = {
        "PDF": _pdf,
        "Parquet": _parquet,
        "HDF5": _hdf5,
        "NumPy": _numpy,
        "tar": _tar,
        "ZIP": _zip,
        "safetensors": _safetensors,
    }
    if kind in openers:
        try:
            yield from openers[kind](data)
        except (ValueError, OSError, EOFError, RuntimeError, NotImplementedError, KeyError, zlib.error) as error:
            yield "", f"{kind} that cannot be opened whole ({type(error).__name__})"
    elif b"%PDF-" in data:
        yield from _pdf(data)
    for magic, name, start in STREAMS:
        if kind in {"PDF", "Parquet", "ZIP", "safetensors"}:
            break  # their own streams are opened above
        for match in re.finditer(magic, data, re.DOTALL):
            try:
                inside = start(data[match.start() :])
            except TooMuch:
                yield "", f"{name} that opens to more than {LIMIT >> 20} MiB"
                continue
            except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError):
                continue
            if len(inside) >= 4:
                yield f"{name} at byte {match.start()}", inside
    for magic, name in CLOSED:
        if (at := data.find(magic)) >= 0:
            yield "", f"{name} at byte {at}, which is not opened"


def _zip(data: bytes) -> Iterator[Part]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield "comment", archive.comment
        for member in archive.infolist():
            yield "name", member.filename
            yield f"{member.filename} (comment)", member.comment + member.extra
            if member.file_size > LIMIT:
                yield "", f"{member.filename} opens to more than {LIMIT >> 20} MiB"
            elif not member.is_dir():
                yield member.filename, archive.read(member)
        first = min((member.header_offset for member in archive.infolist()), default=0)
        yield "before the archive", data[:first]


def _tar(data: bytes) -> Iterator[Part]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            yield "name", f"{member.name}\n{member.linkname}\n{member.uname}"
            if member.isfile() and (file := archive.extractfile(member)):
                yield member.name, file.read(LIMIT)
            elif not member.isdir():
                yield "", f"{member.name} is neither a file nor a folder"


def _parquet(data: bytes) -> Iterator[Part]:
    table = pq.read_table(io.BytesIO(data))
    yield (
        "schema",
        str(table.schema.to_string(show_field_metadata=True, show_schema_metadata=True, truncate_metadata=False)),
    )
    rows = table.to_pylist()
    blobs: list[tuple[str, bytes]] = []
    yield "rows", [_without_bytes(row, "row", blobs) for row in rows]
    yield "rows", json.dumps([_without_bytes(row, "row", []) for row in rows], default=str, ensure_ascii=False)
    yield from blobs


def _without_bytes(value: Any, name: str, blobs: list[tuple[str, bytes]]) -> Any:
    if isinstance(value, bytes):
        blobs.append((name, value))
        return None
    if isinstance(value, dict):
        return {key: _without_bytes(each, f"{name}.{key}", blobs) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(each, name, blobs) for each in value]
    return value


def _array(name: str, values: np.ndarray) -> Iterator[Part]:
    if values.dtype.kind in "SUO":
        yield (
            name,
            "\n".join(
                each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each)
                for each in values.ravel().tolist()
            ),
        )
    elif values.dtype.names:
        for field in values.dtype.names:
            yield from _array(f"{name}.{field}", np.asarray(values[field]))
    elif values.size >= CAN_BE_A_PICTURE:
        yield "", f"{name}: an array of {' x '.join(map(str, values.shape))} numbers, which can be a picture"
    else:
        yield name, str(values.tolist())


def _numpy(data: bytes) -> Iterator[Part]:
    yield from _array("array", np.load(io.BytesIO(data), allow_pickle=False))


def _hdf5(data: bytes) -> Iterator[Part]:
    found: list[Part] = []

    def visit(name: str, entry: Any) -> None:
        found.append(("name", name))
        for key, value in entry.attrs.items():
            found.extend([("name", key), *_array(f"{name}@{key}", np.asarray(value))])
        if isinstance(entry, h5py.Dataset):
            found.extend(_array(name, np.asarray(entry[()])))

    with h5py.File(io.BytesIO(data), "r") as file:
        visit("/", file)
        file.visititems(visit)
    yield from found


def _safetensors(data: bytes) -> Iterator[Part]:
    (length,) = struct.unpack("<Q", data[:8])
    yield "header", data[8 : 8 + length].decode("utf-8", "replace")


def _pdf(data: bytes) -> Iterator[Part]:
    """Open what a PDF holds; its pictures are named even where their coding is not known."""
    if b"/Encrypt" in data:
        yield "", "a PDF that is encrypted"
    texts = []
    for number, match in enumerate(re.finditer(rb"(<<(?:(?!endobj).)*?)stream\r?\n(.*?)endstream", data, re.DOTALL)):
        header, body = match[1][match[1].rfind(b"obj") + 1 :], match[2]
        if re.search(rb"/Subtype\s*/Image", header):
            yield "", f"a picture in stream {number} of a PDF"
        for name in re.findall(rb"/(\w+Decode|A85|AHx|Fl)\b", header):
            try:
                body = _unfiltered(name.decode(), body)
            except (ValueError, zlib.error):
                yield "", f"stream {number} of a PDF does not decode ({name.decode()})"
        if re.search(rb"(?:^|\s)BI\s.*?\sID\s", body, re.DOTALL):
            yield "", f"a picture in the text of stream {number} of a PDF"
        yield f"stream {number}", body
        texts.append(body)
    for body in (*texts, data):
        shown = b"".join(re.findall(rb"\(((?:\\.|[^\\()])*)\)", body))
        shown += b" " + b"".join(_from_hex(part) for part in re.findall(rb"<([0-9A-Fa-f\s]{2,})>", body))
        yield "shown text", re.sub(rb"\\([()\\])", rb"\1", shown)


def _from_hex(text: bytes) -> bytes:
    bare = re.sub(rb"\s", b"", text)
    return bytes.fromhex((bare + b"0" * (len(bare) % 2)).decode())


def _unfiltered(name: str, body: bytes) -> bytes:
    if name in {"FlateDecode", "Fl"}:
        return inflate(body, zlib.decompressobj)
    if name in {"ASCII85Decode", "A85"}:
        return base64.a85decode(body.strip().removesuffix(b"~>"), ignorechars=b" \t\n\r\v")
    if name in {"ASCIIHexDecode", "AHx"}:
        return _from_hex(body.strip().rstrip(b">"))
    if name in {"DCTDecode", "JPXDecode"}:
        return body  # a JPEG: its first bytes tell
    raise ValueError(name)
