"""The two tables of EchoNet-Dynamic: FileList.csv, one row a video, and VolumeTracings.csv, one row a traced line."""

import csv
import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.collections.collection import Unusable, WrongLayout
from workflow_scripts.collections.ddti_outlines import area

LIST = "FileList.csv"
LISTED = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACINGS = "VolumeTracings.csv"
TRACED = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
LINES = 21  # of a tracing: the long axis, then 20 discs across it
LARGEST = 100_000  # number of a frame (the longest published video has 1,002), or coordinate, or size
MAX_FPS = 1_000


def read_list(path: Path) -> dict[str, list[dict[str, str] | None]]:
    """Return the rows of FileList.csv by video; None for a row that is not whole, `line <n>` for one without a name."""
    rows: dict[str, list[dict[str, str] | None]] = defaultdict(list)
    for line, name, cells in _rows(path, LISTED):
        rows[name or f"line {line}"].append(dict(zip(LISTED[1:], cells, strict=True)) if name and cells else None)
    return dict(rows)


def read_tracings(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the traced lines by video, and of the videos with a line that cannot be read, what is wrong.

    Lines are (n, 5): X1, Y1, X2, Y2 in pixels, and Frame from 0.
    """
    lines: dict[str, array[float]] = defaultdict(lambda: array("d"))
    faults: dict[str, str] = {}
    for line, name, cells in _rows(path, TRACED):
        try:
            numbers = [float(text) for text in cells]
            if len(numbers) != 5 or not name or math.isnan(sum(numbers)) or max(map(abs, numbers)) >= LARGEST:
                raise ValueError
            if numbers[4] < 0 or not numbers[4].is_integer():
                raise ValueError
        except ValueError:
            reason = f"line {line} is not a FileName, four coordinates and the number of a frame from 0"
            faults.setdefault(name or f"line {line}", reason)
        else:
            lines[name].extend(numbers)
    return {name: np.array(numbers).reshape(-1, 5) for name, numbers in lines.items()}, faults


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield line number, FileName without `.avi`, and the other cells in the order of `columns`: none if not whole."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if sorted(header) != sorted(columns):
                raise WrongLayout(f"{path}: its header is {','.join(header)[:200]!r}; expected {','.join(columns)}")
            place, cells = header.index(columns[0]), itemgetter(*map(header.index, columns[1:]))
            for row in reader:
                name = row[place].strip() if place < len(row) else ""
                stem = name[:-4] if name[-4:].lower() == ".avi" else name
                if row:  # a blank line has none
                    yield reader.line_num, stem, cells(row) if len(row) == len(header) else ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongLayout(f"{path}: not a CSV in UTF-8 ({error}); download it again") from None


def read_labels(row: Mapping[str, str]) -> tuple[dict[str, Any], list[Unusable]]:
    """Return what a row of FileList.csv says of its video, and what is to be noted.

    Raises
    ------
    Unusable
        When a value is none that its column can have.
    """
    ef, esv, edv = (_number(row, name, top) for name, top in (("EF", 100), ("ESV", 2_000), ("EDV", 2_000)))
    split = row["Split"].strip().lower()
    if split not in ("train", "val", "test", ""):
        raise Unusable(LIST, f"Split is {row['Split']!r}", "TRAIN, VAL, TEST, or blank")
    rate = _number(row, "FPS", None)
    noted = []
    if rate is not None and not 0 < rate <= MAX_FPS:
        noted.append(Unusable(LIST, f"FPS is {row['FPS']}: its frames get no time", f"above 0, up to {MAX_FPS}"))
        rate = None
    if ef is not None and esv is not None and edv:
        follows, slack = 100 * (edv - esv) / edv, 0.05 + _rounding(row["EF"])
        slack += 100 * (_rounding(row["ESV"]) + _rounding(row["EDV"]) * esv / edv) / edv
        if abs(ef - follows) > slack:
            reason = (
                f"EF is {row['EF'].strip()}, but {follows:.1f} follows from its ESV and EDV: all three stay as stated"
            )
            noted.append(Unusable(LIST, reason, "find out which of the three is right"))
    counts = {name: _number(row, name, LARGEST, whole=True) for name in ("NumberOfFrames", "FrameHeight", "FrameWidth")}
    labels = {
        "ejection_fraction": ef,
        "esv_ml": esv,
        "edv_ml": edv,
        "frame_rate": rate,
        "n_frames": counts["NumberOfFrames"],
        "split_given": split or None,
        "label_source": "none" if (ef, esv, edv) == (None, None, None) else "registry",
        "labels": {name: str(counts[name]) for name in ("FrameHeight", "FrameWidth") if counts[name]},
    }
    return labels, noted


def _number(row: Mapping[str, str], name: str, top: int | None, whole: bool = False) -> Any:
    """Read a number, None where blank; from 0 (a whole one from 1) to `top`, if there is one."""
    text = row[name].strip()
    if not text:
        return None
    low = int(whole)
    try:
        value = float(text) if re.fullmatch(r"-?[0-9]*\.?[0-9]*(e[+-]?[0-9]{1,2})?", text, re.IGNORECASE) else math.nan
        if not (low <= value <= top if top else math.isfinite(value)) or (whole and not value.is_integer()):
            raise ValueError
    except ValueError:
        expected = f"a {'whole ' if whole else ''}number" + (f" from {low} to {top}" if top else "")
        raise Unusable(LIST, f"{name} is {text[:40]!r}", f"{expected}, or blank") from None
    return int(value) if whole else value


def _rounding(text: str) -> float:
    """Return how far the number may be from the one that it was rounded from: half of its last decimal."""
    exponent = Decimal(text.strip()).as_tuple().exponent
    assert isinstance(exponent, int)
    return 0.5 * 10.0**exponent


def trace_ventricles(lines: np.ndarray) -> tuple[dict[int, np.ndarray], list[str]]:
    """Return the outline of every traced frame, (40, 2) as x and y in pixels, and what is strange about the tracings.

    A tracing is 21 lines: the long axis, then 20 discs, whose ends are the outline: down one side, up the other. Of a
    frame that was traced several times the last tracing counts: it is what the reader left standing.

    Parameters
    ----------
    lines
        (n, 5) as in `read_tracings`, in the order of the file.
    """
    outlines, strange = {}, []
    for frame in sorted(set(lines[:, 4].astype(int).tolist())):
        of_frame = lines[lines[:, 4] == frame, :4]
        last, count = of_frame[-LINES:], len(of_frame) // LINES
        outline = np.concatenate([last[1:, :2], last[:0:-1, 2:]])
        if len(of_frame) % LINES or (count > 1 and not _axis_first(last)):
            reason = f"the {len(of_frame)} lines of its frame {frame} are no tracings of {LINES} lines each"
            strange.append(f"{reason}, the long axis first: the frame stays without a mask")
        elif area(outline) < 1:
            strange.append(f"the tracing of its frame {frame} encloses nothing: the frame stays without a mask")
        else:
            outlines[frame] = outline
            if count > 1:
                strange.append(f"its frame {frame} was traced {count} times: the last tracing counts")
    if None in phases(outlines).values():
        which = f"its traced frames are {', '.join(map(str, outlines))}"
        strange.append(f"{which}, not two of different area: which is end-diastolic and which end-systolic is not told")
    return outlines, strange


def _axis_first(tracing: np.ndarray) -> bool:
    """Tell whether the first line of a tracing stands across all others: more than 45 degrees."""
    axis, *discs = tracing[:, 2:] - tracing[:, :2]
    return all(abs(disc @ axis) < 0.7 * np.linalg.norm(disc) * np.linalg.norm(axis) or not disc.any() for disc in discs)


def phases(outlines: Mapping[int, np.ndarray]) -> dict[int, str | None]:
    """Return which of two traced frames is which, by the area of the ventricle alone; None where it does not tell."""
    small, large = sorted(outlines, key=lambda frame: area(outlines[frame])) if len(outlines) == 2 else (0, 0)
    if small == large or area(outlines[small]) == area(outlines[large]):
        return dict.fromkeys(outlines)
    return {small: "end-systolic frame", large: "end-diastolic frame"}
