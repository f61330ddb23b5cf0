"""Look into every file of a release for pixels, identifiers, dates and values of the sets that may not be passed on.

A line for each finding: file, where, what; none of them repeats what was found. Ends with 1 where there is one. A
release holds text, PNG and weights alone; all else is refused, and opened to say what is in it. What may pass has to be
known: pictures by the hash of their pixels, weights by that of their file; figures are drawn again from the numbers
beside them. docs/releasing.md says what this finds, and what it cannot find.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from workflow_scripts import command
from workflow_scripts.imaging.stills import UnreadablePicture, decode_picture
from workflow_scripts.provenance import pixel_sha256, sha256
from workflow_scripts.release.containers import kind_of, parts
from workflow_scripts.release.encoded import decoded, views
from workflow_scripts.release.figures import draw_released
from workflow_scripts.release.known import Known, what_is_known
from workflow_scripts.release.lock import read_lock
from workflow_scripts.release.phrases import plain
from workflow_scripts.release.pixels import PNG, find_pictures, png_fault
from workflow_scripts.release.texts import CONTROL, Reader

DEEP = 8  # so many containers, one inside the other, are opened
OF_ONE_FILE = 20  # findings of one file
TEXTS = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{6,}")
PRINTABLE = re.compile(r"[\t\n\r\x20-\x7e\u00a0-\ud7ff]")


class Finding(NamedTuple):
    """Something in a release that must not leave."""

    file: str
    where: str
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.file}: {self.where}: {self.what}"


def inspect_release(release: Path, known: Known) -> list[Finding]:
    """Return what in a folder must not leave, file by file, `OF_ONE_FILE` of each; empty where nothing is found."""
    reader, findings = Reader(replace(known, pictures=known.pictures | _figures(release))), list[Finding]()
    for path in sorted(release.rglob("*")):
        name = path.relative_to(release).as_posix()
        found: list[Finding] = [Finding(name, "the name", what) for _, what in reader.look(name, "")]
        if plain(path.stem) in known.short:
            found.append(Finding(name, "the name", known.short[plain(path.stem)]))
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found.append(Finding(name, "the file", "a link or a device, which holds nothing of its own"))
        elif path.is_file():
            found += [Finding(name, where, what) for where, what in _look(path.read_bytes(), name, "", reader, DEEP)]
        findings += list(dict.fromkeys(found))[:OF_ONE_FILE]
    return findings


def _figures(release: Path) -> set[str]:
    """Return the hashes of the figures that the rest of the release gives; none where it cannot be read."""
    try:
        return {pixel_sha256(pixels) for pixels in draw_released(release).values()}
    except (command.Refusal, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _look(data: bytes, name: str, above: str, reader: Reader, deep: int) -> Iterator[tuple[str, str]]:
    """Yield (where, what) for all that must not be in the bytes of a file, or of what is inside one."""
    known, kind = reader.known, kind_of(data)
    if not deep:
        yield above, "more containers, one inside the other, than are opened"
        return
    if _is_known_picture(data, known):
        return
    is_weights = kind == "safetensors" and sha256(data) in known.weights
    if not is_weights:
        for at, what in find_pictures(data):
            yield f"{above}byte {at}", f"a picture or what belongs to one ({what})"
        if data.startswith(PNG) and (fault := png_fault(data)):
            yield f"{above}the picture", fault
    text = as_text(data)
    if text is not None and kind is None:
        yield from _look_at_text(text, name, above, reader, deep)
        return
    if not is_weights and kind not in {"ZIP", "tar", "gzip", "Parquet"}:
        yield f"{above or 'the file'}", f"{kind or 'neither text nor a picture'}: not of a format that a release holds"
    for inner, part in parts(data):
        place = f"{above}{inner} > "
        if isinstance(part, bytes):
            yield from _look(part, inner, place, reader, deep - 1) if part else ()
        elif isinstance(part, list):
            yield from ((f"{place}{where}", what) for where, what in reader.look_at_structure(part))
        elif inner:
            yield from _look_at_text(part, inner, place, reader, deep)
        else:
            yield above or "the file", part
    if not is_weights:
        for words in _words_in(data):
            yield from ((f"{above}{where}", what) for where, what in reader.look(words, ""))


def _is_known_picture(data: bytes, known: Known) -> bool:
    if not data.startswith(PNG) or png_fault(data):
        return False
    try:
        return pixel_sha256(decode_picture(data)) in known.pictures
    except UnreadablePicture:
        return False


def as_text(data: bytes) -> str | None:
    """Return bytes as the text in UTF-8 that they are; None where they are none."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text


def _words_in(data: bytes) -> Iterator[str]:
    """Yield the texts that stand in bytes, in any of the usual encodings."""
    yield "\n".join(found.decode("utf-8", "ignore") for found in TEXTS.findall(data))
    if b"\0" in data:  # two or four bytes a character
        yield "\n".join(found.decode("utf-8", "ignore") for found in TEXTS.findall(data.replace(b"\0", b"")))
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        yield data.decode("utf-16", "ignore")


def _look_at_text(text: str, name: str, above: str, reader: Reader, deep: int) -> Iterator[tuple[str, str]]:
    yield from ((f"{above}{where}", what) for where, what in reader.look(text, name))
    for view in set(views(text)):
        for at, data in decoded(view):
            place = f"{above}line {view.count(chr(10), 0, at) + 1}, decoded > "
            inside = data.decode("utf-8", "ignore")
            if kind_of(data) or next(find_pictures(data), None):
                yield from _look(data, name, place, reader, deep - 1)
            elif deep > 1 and len(inside) >= 6 and len(PRINTABLE.findall(inside)) > 0.9 * len(data):
                yield from _look_at_text(inside, name, place, reader, deep - 1)


def main(argv: list[str] | None = None) -> None:
    """Inspect one release."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--release", type=command.existing, required=True, help="folder to inspect")
    arguments.add_argument("--results", type=command.existing, required=True, help="results that it was made from")
    arguments.add_argument("--lock", type=command.existing, required=True, help="lock of their scenarios")
    arguments.add_argument("--kinds", type=command.json_argument, required=True, help="kind of each data set as JSON")
    args = arguments.parse_args(argv)
    findings = inspect_release(args.release, what_is_known(args.results, args.kinds, read_lock(args.lock)))
    print(*findings, sep="\n")
    if findings:
        raise command.Refusal(f"{args.release}: {len(findings)} findings: nothing of it may leave")


if __name__ == "__main__":
    main()
