"""Pictures inside bytes, whatever the file is called, and pictures that hold nothing but their pixels."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"sRGB", b"gAMA", b"cHRM"}  # of a PNG; none of them holds a text
CHANNELS = {0: 1, 2: 3}  # grey and RGB: neither a palette nor a fourth channel, which need not be seen
PNG = b"\x89PNG\r\n\x1a\n"


def _jpeg(data: bytes, at: int) -> bool:
    """Tell whether a JPEG begins here: one marker, its length, and the next marker behind it."""
    (length,) = struct.unpack(">H", data[at + 4 : at + 6].ljust(2, b"\0"))
    behind = data[at + 4 + length : at + 6 + length]
    return length >= 2 and (len(behind) < 2 or (behind[0] == 0xFF and behind[1] >= 0xC0))


def _tiff(data: bytes, at: int) -> bool:
    order = "<" if data[at : at + 1] == b"I" else ">"
    (first,) = struct.unpack(f"{order}I", data[at + 4 : at + 8].ljust(4, b"\0"))
    return 8 <= first <= max(len(data) - at, 8)


def _bmp(data: bytes, at: int) -> bool:
    if len(data) - at < 30:
        return False
    reserved, start, header = struct.unpack("<III", data[at + 6 : at + 18])
    return reserved == 0 and header in {12, 40, 52, 56, 64, 108, 124} and start >= 14 + header


def _dicom(data: bytes, at: int) -> bool:
    return at >= 128 or data[at + 4 : at + 6] == b"\x02\0"


def _nifti(data: bytes, at: int) -> bool:
    return data[at - 344 : at - 340] in {b"\x5c\x01\0\0", b"\0\0\x01\x5c"} if at >= 344 else False


def _profile(data: bytes, at: int) -> bool:
    return at >= 36 and struct.unpack(">I", data[at - 36 : at - 32])[0] >= 128 and data[at - 28] in {2, 4, 5}


def _always(data: bytes, at: int) -> bool:
    return True


MAGIC: tuple[tuple[bytes, str, Callable[[bytes, int], bool]], ...] = (
    (re.escape(PNG), "PNG", _always),
    (rb"\xff\xd8\xff[\xc0-\xfe]", "JPEG", _jpeg),
    (rb"GIF8[79]a", "GIF", _always),
    (rb"RIFF....(?:WEBP|AVI )", "WebP or AVI", _always),
    (rb"(?:II[\x2a\x2b]\0|MM\0[\x2a\x2b])", "TIFF", _tiff),
    (rb"BM", "BMP", _bmp),
    (rb"DICM", "DICOM", _dicom),
    (rb"\xe0\x7f\x10\0(?:O[BWFDLV]|....)", "pixels of a DICOM file", _always),
    (rb"n[i+][12]\0", "NIfTI", _nifti),
    (rb"\0\0\0\x0c(?:jP  |JXL )\r\n\x87\n", "JPEG 2000 or JPEG XL", _always),
    (rb"\xff\x4f\xff\x51\0", "JPEG 2000", _always),
    (rb"ftyp(?:heic|heix|mif1|avif|avis|isom|iso2|mp4[12]|qt  |M4V )", "HEIF, AVIF or MP4", _always),
    (rb"\x1a\x45\xdf\xa3", "Matroska", _always),
    (rb"acsp", "colour profile", _profile),
    (rb"ICC_PROFILE\0", "colour profile", _always),
    (rb"Exif\0\0", "EXIF", _always),
    (rb"P[1-7]\s+(?:#[^\n]*\n\s*)*\d{1,6}\s+\d{1,6}\s", "PNM", _always),
    (rb"NRRD000\d", "NRRD", _always),
    (rb"ElementDataFile\s*=", "MetaImage", _always),
    (rb"SIMPLE  =\s+T", "FITS", _always),
    (rb"8BPS\0[\x01\x02]", "Photoshop", _always),
)
ANY = re.compile(b"|".join(b"(?P<m%d>%s)" % (number, magic) for number, (magic, _, _) in enumerate(MAGIC)), re.DOTALL)


def find_pictures(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield (offset, format) of every picture, film, slice or colour profile that begins somewhere in `data`."""
    for match in ANY.finditer(data):
        _, name, holds = MAGIC[int((match.lastgroup or "m0")[1:])]
        if holds(data, match.start()):
            yield match.start(), name


def png_fault(data: bytes) -> str | None:
    """Return what a PNG holds besides its pixels; None where there is nothing.

    A PNG that is whole has a header, its pixels in one stream of exactly their size, and an end with nothing behind it.
    """
    at, names, stream, header = len(PNG), [], b"", b""
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) < length or zlib.crc32(name + body) != int.from_bytes(data[at + 8 + length : at + 12 + length]):
            return "a broken chunk"
        if name not in CHUNKS:
            return f"a chunk {name.decode('latin-1')}, which holds more than pixels"
        names.append(name)
        stream += body if name == b"IDAT" else b""
        header = body if name == b"IHDR" else header
        at += 12 + length
        if name == b"IEND":
            break
    if at != len(data) or names[-1:] != [b"IEND"] or len(header) != 13:
        return "bytes behind its end"
    width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", header)
    inflated = zlib.decompressobj()
    try:
        pixels = inflated.decompress(stream, 1 << 30)
    except zlib.error:
        return "a broken stream"
    size = height * (1 + width * CHANNELS.get(colour, 0))
    if interlaced or depth != 8 or len(pixels) != size or inflated.unused_data or not inflated.eof:
        return "more or less than its pixels"
    return None
