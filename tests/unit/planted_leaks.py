"""Ways in which something of a restricted set gets into a release, each planted into a clean one.

`python -m tests.unit.planted_leaks` plants them all and prints how many were tried and caught.
"""

import base64
import bz2
import gzip
import io
import json
import lzma
import quopri
import shutil
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from safetensors.numpy import save

from tests.unit.release_tables import (
    CASE,
    FREE,
    KINDS,
    LONE,
    NAME,
    NUMBER,
    PADDED,
    REMARK,
    RESTRICTED,
    SHORT,
    STUDY,
    UID,
    write_results,
)
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.provenance import canonical_json
from workflow_scripts.release.build_release import main as build
from workflow_scripts.release.inspect_release import Finding, inspect_release
from workflow_scripts.release.known import Known, what_is_known
from workflow_scripts.release.lock import read_lock

Plant = Callable[[Path], object]
FREE_PICTURE = "data/drawn-by-casebook-s-demo/images/scenario_201.png"
IDENTIFIER, PICTURE, DATE = "case|group|study|path|file|source|name", "picture", "date"
VALUE, ENCODED, FORMAT = "value|as it is written|text of a scenario", "encoded", "not of a format"


def paste(pixels: np.ndarray, patch: np.ndarray) -> np.ndarray:
    pixels[: patch.shape[0], : patch.shape[1]] = patch[..., None]
    return pixels


def figure(change: Callable[[np.ndarray], np.ndarray]) -> Plant:
    def plant(release: Path) -> None:
        path = release / "figures" / "risk_coverage.png"
        path.write_bytes(encode_png(change(decode_picture(path.read_bytes()))))

    return plant


def coded(suffix: str, pixels: np.ndarray = RESTRICTED) -> bytes:
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def pillow(form: str, pixels: np.ndarray = RESTRICTED, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def dicom() -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, generate_uid("1.2.", ["a"])
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    found.Rows, found.Columns, found.BitsAllocated, found.BitsStored, found.HighBit = *RESTRICTED.shape, 8, 8, 7
    found.SamplesPerPixel, found.PixelRepresentation, found.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    found.PixelData = RESTRICTED.tobytes()
    file = io.BytesIO()
    found.save_as(file)
    return file.getvalue()


def nifti() -> bytes:
    return bytes(nibabel.Nifti1Image(RESTRICTED.astype(np.int16)[..., None], np.eye(4)).to_bytes())


def zipped(name: str, content: bytes, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def pdf(header: bytes, body: bytes, info: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    stream = b"4 0 obj\n<</Length " + length + header + b">>\nstream\n" + body + b"\nendstream\nendobj\n"
    return (
        b"%PDF-1.4\n1 0 obj\n<</Type /Catalog " + info + b">>\nendobj\n" + stream + b"trailer <</Root 1 0 R>>\n%%EOF\n"
    )


def parquet(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
    return file.getvalue()


def hdf5(write: Callable[[h5py.File], object]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        write(opened)
    return file.getvalue()


def npy(values: np.ndarray, many: bool = False) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, frame=values) if many else np.save(file, values)
    return file.getvalue()


def noted_png(**chunks: Any) -> bytes:
    note = PngImagePlugin.PngInfo()
    if "text" in chunks:
        note.add_text("Comment", chunks["text"], zip=chunks.get("compressed", False))
    return pillow("PNG", FREE, pnginfo=note)


def exif() -> bytes:
    about = Image.Exif()
    about[306] = "2019:03:04 12:30:00"
    return pillow("PNG", FREE, exif=about)


def stream_with_more() -> bytes:
    """A PNG of the free picture whose stream of pixels goes on behind the last of them."""
    rows = b"".join(b"\0" + row.tobytes() for row in FREE) + CASE.encode()
    header = np.array(FREE.shape[::-1], ">u4").tobytes() + b"\x08\0\0\0\0"

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)

    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def file(name: str, content: bytes | str) -> Plant:
    """Return what adds a file."""

    def plant(release: Path) -> None:
        path = release / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return plant


def line(name: str, text: str) -> Plant:
    """Return what adds a line to a file that is there."""

    def plant(release: Path) -> None:
        with (release / name).open("a") as opened:
            opened.write(f"\n{text}\n")

    return plant


def key(name: str, value: Any) -> Plant:
    """Return what adds a key to a file of JSON."""

    def plant(release: Path) -> None:
        found = json.loads((release / name).read_text())
        (release / name).write_text(json.dumps(found | {"planted": value}, indent=2))

    return plant


def wrapped(text: str, width: int = 60) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


THUMBNAIL = coded(".png", RESTRICTED[:16, :16])
BASE64 = base64.b64encode(coded(".png")).decode()
SMALL = base64.b64encode(THUMBNAIL).decode()
ROW = RESTRICTED[20].tolist()
SENTENCE = "Thyroid nodule of 12.5 mm in the left lobe of a woman of 31 years; benign by histology."
SPLIT = "".join(f"({part}) 20 " for part in ("pat", "ient", "00", "417"))
ESCAPED = "".join(f"\\u{ord(character):04x}" for character in CASE)
SVG = '<svg xmlns="http://www.w3.org/2000/svg">{}</svg>'

# What is planted, and what the gate must say that it has found.
PLANTS: dict[str, tuple[Plant, str]] = {
    # pixels, under any name
    "a PNG": (file("figures/a.png", coded(".png")), PICTURE),
    "a JPEG called .txt": (file("notes.txt", coded(".jpg")), PICTURE),
    "a GIF": (file("a.gif", pillow("GIF")), PICTURE),
    "a WebP": (file("a.webp", coded(".webp")), PICTURE),
    "a TIFF": (file("a.tif", coded(".tif")), PICTURE),
    "a BMP": (file("a.bmp", coded(".bmp")), PICTURE),
    "a JPEG 2000": (file("a.jp2", pillow("JPEG2000")), PICTURE),
    "a portable grey map": (file("a.pgm", coded(".pgm")), PICTURE),
    "a DICOM called .txt": (file("report.txt", dicom()), PICTURE),
    "a DICOM without its preamble": (file("a.bin", dicom()[132:]), PICTURE),
    "a NIfTI": (file("a.nii", nifti()), PICTURE),
    "bare pixels": (file("a.raw", RESTRICTED.tobytes()), FORMAT),
    "a thumbnail in a corner of a figure": (figure(lambda pixels: paste(pixels, RESTRICTED[:16, :16])), PICTURE),
    "a picture in a figure's lowest bits": (figure(lambda pixels: paste(pixels, pixels[:64, :80, 0] ^ 1)), PICTURE),
    "another picture under a figure's name": (figure(lambda _: RESTRICTED), PICTURE),
    "another picture under an allowed name": (file(FREE_PICTURE, coded(".png")), PICTURE),
    "a picture behind the end of a text": (file("log.txt", b"All went well.\n" + coded(".jpg")), PICTURE),
    "a picture behind an allowed one": (file(FREE_PICTURE, encode_png(FREE) + coded(".jpg")), "JPEG"),
    "a picture in a fourth channel": (
        file(FREE_PICTURE, pillow("PNG", np.dstack([FREE, FREE, FREE, RESTRICTED]))),
        PICTURE,
    ),
    # pixels, inside something
    "a thumbnail in a PDF": (
        file("figure.pdf", pdf(b"/Subtype /Image /Filter /DCTDecode", coded(".jpg", RESTRICTED[:16, :16]))),
        "JPEG",
    ),
    "deflated pixels in a PDF": (
        file("figure.pdf", pdf(b"/Subtype /Image /Filter /FlateDecode", zlib.compress(RESTRICTED.tobytes()))),
        "picture in stream",
    ),
    "a picture in the text of a PDF": (
        file("figure.pdf", pdf(b"/Filter /FlateDecode", zlib.compress(b"q\nBI /W 80 /H 64 ID \x01\x02 EI\nQ"))),
        "picture in the text",
    ),
    "a picture in a ZIP": (file("all.zip", zipped("a.png", coded(".png"))), PICTURE),
    "a picture in a ZIP in a ZIP": (file("all.zip", zipped("b.zip", zipped("a.png", coded(".png")))), PICTURE),
    "a picture in a slide of a presentation": (file("a.pptx", zipped("ppt/media/image1.jpg", coded(".jpg"))), PICTURE),
    "a gzip of a DICOM": (file("a.gz", gzip.compress(dicom())), PICTURE),
    "a NIfTI as it is published": (file("a.nii.gz", gzip.compress(nifti())), PICTURE),
    "a tar of pictures": (file("all.tar", tarred("a.png", coded(".png"))), PICTURE),
    "bzip2": (file("a.bz2", bz2.compress(coded(".png"))), PICTURE),
    "xz in gzip": (file("a.bin", gzip.compress(lzma.compress(coded(".png")))), PICTURE),
    "bare zlib": (file("a.bin", zlib.compress(coded(".png"))), PICTURE),
    "a table with pictures": (file("a.parquet", parquet({"image": [coded(".png")]})), PICTURE),
    "a table with pictures in a structure": (
        file("a.parquet", parquet({"image": [{"bytes": coded(".png"), "path": None}]})),
        PICTURE,
    ),
    "a NumPy array": (file("a.npy", npy(RESTRICTED)), "an array of 64 x 80"),
    "NumPy arrays in a ZIP": (file("a.npz", npy(RESTRICTED, many=True)), "an array of 64 x 80"),
    "an HDF5": (file("a.h5", hdf5(lambda opened: opened.create_dataset("x", data=RESTRICTED))), "an array of 64 x 80"),
    "a picture as a tensor of weights": (
        file("models/unet-free/fold-1.safetensors", save({"weight": RESTRICTED.astype(np.float32)})),
        FORMAT,
    ),
    # pixels, as text
    "base64 in JSON": (key("metrics/scores.json", BASE64), PICTURE),
    "a small thumbnail as base64 in JSON": (key("metrics/scores.json", SMALL), PICTURE),
    "base64 of base64": (key("metrics/scores.json", base64.b64encode(SMALL.encode()).decode()), PICTURE),
    "base64 for URLs": (line("README.md", base64.urlsafe_b64encode(coded(".jpg")).decode()), PICTURE),
    "base64 of a gzip of a picture": (
        line("README.md", base64.b64encode(gzip.compress(coded(".png"))).decode()),
        PICTURE,
    ),
    "base64 over many lines of HTML": (
        file("page.html", f'<img src="data:image/png;base64,\n{wrapped(BASE64)}">'),
        PICTURE,
    ),
    "base64 as parts that are joined": (
        file("page.html", "x = " + " +\n".join(f'"{part}"' for part in wrapped(SMALL, 40).split("\n"))),
        PICTURE,
    ),
    "a data URI in an SVG": (file("a.svg", SVG.format(f'<image href="data:image/png;base64,{SMALL}"/>')), PICTURE),
    "a data URI, percent-encoded": (
        file("a.svg", SVG.format(f'<image href="data:image/png,{urllib.parse.quote(THUMBNAIL)}"/>')),
        f"{PICTURE}|{ENCODED}",
    ),
    "hex": (line("README.md", THUMBNAIL.hex()), PICTURE),
    "hex as a dump has it": (line("README.md", THUMBNAIL.hex(" ")), PICTURE),
    "base85": (line("README.md", base64.b85encode(THUMBNAIL).decode()), PICTURE),
    "ASCII85": (line("README.md", base64.a85encode(THUMBNAIL, adobe=True).decode()), PICTURE),
    "base32": (line("README.md", base64.b32encode(THUMBNAIL).decode()), PICTURE),
    "an encoding that is not known": (line("README.md", BASE64[::-1]), ENCODED),
    "a picture as numbers": (key("metrics/scores.json", RESTRICTED.tolist()), "numbers in a row"),
    "a picture as numbers between 0 and 1": (
        file("a.csv", "\n".join(",".join(f"{value / 255:.4f}" for value in row) for row in RESTRICTED)),
        "numbers in a row",
    ),
    "a picture as a list of YAML": (
        file("a.yaml", "\n".join(f"- {value}" for value in RESTRICTED.ravel())),
        "numbers in a row",
    ),
    "a picture as elements of XML": (
        file("a.xml", "".join(f"<v>{value}</v>" for value in RESTRICTED.ravel())),
        "numbers in a row",
    ),
    "a picture as quoted numbers": (key("metrics/scores.json", [str(value) for value in ROW]), "numbers in a row"),
    "a picture drawn of coloured squares": (
        file(
            "a.svg",
            SVG.format("".join(f'<rect fill="#{value:02x}{value:02x}{value:02x}"/>' for value in RESTRICTED.ravel())),
        ),
        "coloured parts",
    ),
    "base64 in a text column of a table": (file("a.parquet", parquet({"x": [BASE64]})), PICTURE),
    "part of a row of pixels": (key("metrics/scores.json", ROW[10:45]), "a row of pixels"),
    "pixels under keys": (key("metrics/scores.json", {f"p{at}": value for at, value in enumerate(ROW)}), "numbers"),
    # identifiers
    "an id in a log": (file("logs/build.log", f"INFO read {CASE} in 0.3 s"), IDENTIFIER),
    "an id in other letters": (line("README.md", f"see {CASE.upper()}"), IDENTIFIER),
    "an id with a hyphen": (line("README.md", "see patient-00417 there"), IDENTIFIER),
    "an id inside a longer word": (line("README.md", f"fig_x{CASE}a"), IDENTIFIER),
    "an id over two lines": (line("README.md", "see patient-\n00417"), IDENTIFIER),
    "an id as the name of an empty folder": (lambda release: (release / CASE).mkdir(), IDENTIFIER),
    "an id of a case in quarantine": (line("README.md", "patient09999 broke off"), IDENTIFIER),
    "a study": (line("README.md", f"study {STUDY}"), IDENTIFIER),
    "a number of a patient": (key("metrics/scores.json", f"no. {NUMBER}"), IDENTIFIER),
    "a number of a patient, as a number": (key("metrics/scores.json", int(NUMBER)), IDENTIFIER),
    "a short id beside its name": (key("metrics/scores.json", {"case_id": SHORT}), IDENTIFIER),
    "a number of a patient in parts": (line("README.md", "accession 12/3456"), IDENTIFIER),
    "the UID of a study": (line("README.md", f"studies/{UID}/3"), IDENTIFIER),
    "a short id under another name": (key("metrics/scores.json", {"case": SHORT}), IDENTIFIER),
    "a short id that lost its zeros": (file("a.csv", f"case_id,dice\n{int(PADDED)},0.8\n"), IDENTIFIER),
    "a short id in a column": (file("a.csv", f"case_id,dice\n{SHORT},0.8\n"), IDENTIFIER),
    "a short id in words": (line("README.md", f"The worst was patient {SHORT}."), IDENTIFIER),
    "a short id as a file name": (file(f"metrics/{SHORT}.json", "{}"), IDENTIFIER),
    "a patient's name": (line("README.md", "thanks to Xaver Oberhuber, and to Oberhuber, Xaver"), IDENTIFIER),
    "the name of a source file": (line("README.md", f"clips/{NAME}_clip.mp4"), IDENTIFIER),
    "an id in a file name": (file(f"metrics/{CASE}.json", "{}"), IDENTIFIER),
    "an id as the name of a folder": (file(f"{CASE}/a.json", "{}"), IDENTIFIER),
    "the hash of a case": (key("metrics/scores.json", "CONTENT"), IDENTIFIER),
    "the user's name of a data set": (line("README.md", "read from clinic-berlin7"), IDENTIFIER),
    "an id in UTF-16": (file("a.txt", f"read {CASE}".encode("utf-16")), IDENTIFIER),
    "an id in UTF-16 without its mark": (file("a.txt", f"read {CASE}".encode("utf-16-be")), IDENTIFIER),
    "an id in UTF-32": (file("a.txt", f"read {CASE}".encode("utf-32")), IDENTIFIER),
    "an id in JSON escapes": (line("README.md", ESCAPED), IDENTIFIER),
    "an id percent-encoded": (line("README.md", "".join(f"%{ord(one):02x}" for one in CASE)), IDENTIFIER),
    "an id in entities of HTML": (line("README.md", "".join(f"&#{ord(one)};" for one in CASE)), IDENTIFIER),
    "an id encoded twice": (line("README.md", urllib.parse.quote(ESCAPED)), IDENTIFIER),
    "an id in quoted-printable": (
        line("README.md", quopri.encodestring(f"x {CASE[:7]}".encode()).decode() + f"=\n{CASE[7:]}"),
        IDENTIFIER,
    ),
    "an id in base64": (key("metrics/scores.json", base64.b64encode(CASE.encode()).decode()), IDENTIFIER),
    "an id in hex": (key("metrics/scores.json", CASE.encode().hex()), IDENTIFIER),
    "an id in full-width letters": (line("README.md", "".join(chr(ord(one) + 0xFEE0) for one in CASE)), IDENTIFIER),
    "an id with unseen characters": (line("README.md", "\u200b".join(CASE)), IDENTIFIER),
    "an id in a comment of HTML": (file("page.html", f"<p>fine</p><!-- {CASE} -->"), IDENTIFIER),
    "an id in the metadata of an SVG": (file("a.svg", SVG.format(f"<metadata>{CASE}</metadata>")), IDENTIFIER),
    "an id in a text chunk of an allowed picture": (file(FREE_PICTURE, noted_png(text=CASE)), IDENTIFIER),
    "an id in a compressed chunk of an allowed picture": (
        file(FREE_PICTURE, noted_png(text=CASE * 9, compressed=True)),
        IDENTIFIER,
    ),
    "an id behind the pixels of an allowed picture": (file(FREE_PICTURE, stream_with_more()), "more or less"),
    "an id in the text of a PDF, in parts": (
        file("a.pdf", pdf(b"/Filter /FlateDecode", zlib.compress(f"BT [{SPLIT}] TJ ET".encode()))),
        IDENTIFIER,
    ),
    "an id in the information of a PDF": (file("a.pdf", pdf(b"", b"", f"/Title ({CASE})".encode())), IDENTIFIER),
    "an id in hex in a PDF": (
        file("a.pdf", pdf(b"", b"", f"/Title <{CASE.encode('utf-16-be').hex()}>".encode())),
        IDENTIFIER,
    ),
    "an id as a name in a ZIP": (file("a.zip", zipped(f"{CASE}.txt", b"fine")), IDENTIFIER),
    "an id in the comment of a ZIP": (file("a.zip", zipped("a.txt", b"fine", CASE.encode())), IDENTIFIER),
    "an id in a column of a table": (file("a.parquet", parquet({"x": [CASE]})), IDENTIFIER),
    "an id in the metadata of a table": (file("a.parquet", parquet({"x": [1]}, {"from": CASE})), IDENTIFIER),
    "an id in the metadata of weights": (
        file("models/unet-free/fold-1.safetensors", save({"w": np.zeros(2)}, {"cases": CASE})),
        IDENTIFIER,
    ),
    "an id as an attribute of an HDF5": (file("a.h5", hdf5(lambda opened: opened.attrs.update(of=CASE))), IDENTIFIER),
    "an id in a table of SQLite": (file("a.db", b"SQLite format 3\0" + CASE.encode()), IDENTIFIER),
    # dates
    "a date": (line("README.md", "scanned on 2019-03-04"), DATE),
    "a date with its day first": (line("README.md", "scanned on 04/03/2019"), DATE),
    "a date in words": (line("README.md", "scanned on March 4th, 2019"), DATE),
    "a date of DICOM": (key("metrics/scores.json", "20190304"), DATE),
    "a date and time of DICOM": (key("metrics/scores.json", "20190304123000.000000"), DATE),
    "a time": (line("README.md", "scanned at 12:30:07"), DATE),
    "the date of EXIF in an allowed picture": (file(FREE_PICTURE, exif()), DATE),
    "the date of a figure's metadata": (
        file("a.svg", SVG.format("<metadata><dc:date>2019-03-04T12:30:00</dc:date></metadata>")),
        DATE,
    ),
    "the date of a PDF": (file("a.pdf", pdf(b"", b"", b"/CreationDate (D:20190304123000Z)")), DATE),
    # values of one case
    "a row of the table": (file("a.csv", "age,sex,largest_mm,level\n31,female,12.5,TR4\n"), VALUE),
    "a row without a header": (file("a.csv", "31;female;12.5;TR4\n"), VALUE),
    "a row in JSON": (key("metrics/scores.json", {"age": 31, "sex": "female", "largest_mm": 12.5}), VALUE),
    "two values under their names": (key("metrics/scores.json", {"age": 31, "sex": "female"}), VALUE),
    "a row over the lines of a YAML": (file("a.yaml", "- age: 31\n  sex: female\n  size: 12.5\n"), VALUE),
    "a row in a table of HTML": (
        file("a.html", "<table><tr>\n<td>31</td>\n<td>female</td>\n<td>12.5</td>\n</tr></table>"),
        VALUE,
    ),
    "a row in a Parquet": (file("a.parquet", parquet({"a": [31], "s": ["female"], "d": [12.5]})), VALUE),
    "a row in words": (line("README.md", "A woman (female, 31 years) with a nodule of 12.5 mm, TR4."), VALUE),
    "a row in a figure's metadata": (file("a.svg", SVG.format("<desc>age 31, female, 12.5 mm</desc>")), VALUE),
    "a number that only one case has": (key("metrics/scores.json", float(LONE)), VALUE),
    "a number beside its name": (line("README.md", "the largest diameter was 12.5 mm"), VALUE),
    "a free text": (line("README.md", f"It was {REMARK}."), VALUE),
    "a free text over two lines": (line("README.md", f"It was {REMARK.replace(' at ', chr(10) + 'at ')}."), VALUE),
    "the text of a scenario": (key("metrics/scores.json", {"ground_truth": SENTENCE}), VALUE),
    "a row in an allowed scenario": (
        key("croissant.json", {"id": "scenario_201", "metadata": {}, "age": 31, "sex": "female", "size": 12.5}),
        VALUE,
    ),
    # what must not be there at all
    "weights that learnt from a restricted set": (lambda release: None, FORMAT),
    "a pickle": (file("models/unet-free/a.pt", b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8c\x08weights\x94."), FORMAT),
    "a link to a file elsewhere": (lambda release: (release / "a.txt").symlink_to("/etc/hostname"), "a link"),
    "an encrypted ZIP": (
        file(
            "a.zip", zipped("a.txt", b"fine").replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0")
        ),
        "cannot be opened",
    ),
}


def plant(name: str, release: Path, results: Path) -> None:
    """Plant a leak into a release."""
    if name.startswith("weights that"):
        shutil.copyfile(
            results / "model/unet-clinic/fold-0.safetensors", release / "models/unet-free/fold-1.safetensors"
        )
    elif name == "the hash of a case":
        rows = pq.read_table(results / "datasets/clinic-berlin7/cases.parquet").to_pylist()
        key("metrics/scores.json", rows[3]["content_sha256"])(release)
    else:
        PLANTS[name][0](release)


def make_clean(folder: Path) -> tuple[Path, Path, Known]:
    """Return the results of a run, a clean release of it, and what is known of its restricted sets."""
    results, release = write_results(folder / "results"), folder / "release"
    lock = str(results / "scenarios" / "casebook.lock.json")
    build(["--results", str(results), "--lock", lock, "--kinds", canonical_json(KINDS), "--release", str(release)])
    return results, release, what_is_known(results, KINDS, read_lock(Path(lock)))


def try_leak(name: str, results: Path, clean: Path, known: Known, folder: Path) -> list[Finding]:
    """Return what the gate finds in a copy of a clean release into which one leak was planted."""
    untouched = shutil.ignore_patterns("casebook.lock.json", "templates", "workflow", "ro-crate*")  # inspected once
    release = shutil.copytree(clean, folder / "release", ignore=untouched)
    plant(name, release, results)
    return inspect_release(release, known)


def main() -> None:
    """Plant every leak and print how many were tried and caught."""
    with tempfile.TemporaryDirectory() as text:
        results, clean, known = make_clean(Path(text))
        caught = 0
        for number, name in enumerate(PLANTS):
            findings = try_leak(name, results, clean, known, Path(text, str(number)))
            caught += bool(findings)
            print(f"{'caught' if findings else 'MISSED'}: {name}: {findings[0] if findings else ''}")
        print(f"{len(PLANTS)} leaks planted, {caught} caught; {len(inspect_release(clean, known))} false alarms")


if __name__ == "__main__":
    main()
