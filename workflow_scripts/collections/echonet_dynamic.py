"""EchoNet-Dynamic: `Videos/<name>.avi` is a case, FileList.csv has its labels, VolumeTracings.csv its left ventricle.

Layout and defects as in the publishers' own loader, and as counted by its readers: `.avi` in one table only, two traced
frames a video in either order, some traced several times, six large videos that nobody traced, a tracing without video.
Source: Ouyang et al., Nature 2020;580:252, doi:10.1038/s41586-020-2145-8.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.draw

from workflow_scripts.collections.collection import (
    TABLE,
    Clip,
    Indexed,
    Source,
    Still,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.collections.ddti_outlines import area, outside
from workflow_scripts.collections.echonet_dynamic_tables import (
    LIST,
    TRACINGS,
    phases,
    read_labels,
    read_list,
    read_tracings,
    trace_ventricles,
)
from workflow_scripts.files import natural
from workflow_scripts.imaging.clips import UnreadableClip, read_clip
from workflow_scripts.imaging.stills import to_grey
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

VIDEOS = "Videos"
EXPECTED = f"{LIST}, {TRACINGS} and {VIDEOS}/<name>.avi, as EchoNet-Dynamic ships them"
NEARLY_GREY = 3  # levels between channels that JPEG's colour rounding makes of a grey picture


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every video of the list, and every one that the list does not know."""
    root = source.root
    folder = root_of(root, LIST, TRACINGS, VIDEOS)
    if missing := [name for name in (LIST, TRACINGS, VIDEOS) if not (folder / name).exists()]:
        raise WrongLayout(f"{root}: no {' and no '.join(missing)} found; expected {EXPECTED}")
    listed, (traced, faults) = read_list(folder / LIST), read_tracings(folder / TRACINGS)
    videos, others = _videos(folder / VIDEOS)
    place = (folder.relative_to(root) / VIDEOS).as_posix()
    yield from not_understood(place, others, "<name>.avi")
    if strays := sorted((traced.keys() | faults.keys()) - listed.keys() - videos.keys(), key=natural):
        names = f"{', '.join(strays[:5])}{', …' if len(strays) > 5 else ''}"
        reason = f"its lines of {names} are of no video that is listed or there"
        yield Indexed(
            TABLE, None, [Unusable(TRACINGS, reason, "nothing: one such video is known of the published set")]
        )
    first: dict[str, str] = {}  # hash of a video -> its first case
    for case_id in sorted(listed.keys() | videos.keys(), key=natural)[: source.limit]:
        case = Indexed(case_id, None)
        try:
            row = _only_row(listed.get(case_id), case_id, f"{place}/{case_id}.avi")
            if case_id not in videos:
                raise Unusable(f"{place}/{case_id}.avi", f"{LIST} lists it, but it is not there", "download it again")
            if case_id in faults:
                raise Unusable(TRACINGS, faults[case_id], "take the table from another copy of the set")
            labels, case.problems = read_labels(row)
            lines = traced.get(case_id, np.empty((0, 5)))
            strange = trace_ventricles(lines)[1]
            case.problems += [Unusable(TRACINGS, reason, "nothing, or trace it again") for reason in strange]
            video, content = videos[case_id].relative_to(root).as_posix(), hashes.of(videos[case_id])
            owner = first.setdefault(content, case_id)
            if owner != case_id:
                reason = f"the same video as that of case {owner}: the two are one group"
                case.problems.append(Unusable(video, reason, "leave one of them out"))
            patient = source.groups.get(case_id)
            copied = "video; of identical ones the first" if owner != case_id else "video"
            case.row = {
                **labels,
                "body_part": "heart",
                "view": "apical four-chamber",
                "group_id": patient or owner,
                "group_kind": "patient" if patient else f"{copied} (no patient identifier is published)",
                "sources": [video, (folder / TRACINGS).relative_to(root).as_posix()],
                "source_kind": "avi-csv",
                "source_key": case_id,
                "content_sha256": sha256(canonical_json([row, lines.tolist(), content])),
            }
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open a video and the tracings of its ventricle."""
    return EchoClip(source.root, case)


def _only_row(rows: list[dict[str, str] | None] | None, case_id: str, video: str) -> dict[str, str]:
    if rows is None:
        raise Unusable(video, f"no row in {LIST}", "add its row, or leave the video out")
    if len(rows) > 1:
        raise Unusable(LIST, f"{case_id} stands in {len(rows)} rows", "one row a video")
    if rows[0] is None:
        raise Unusable(LIST, f"the row of {case_id} has no FileName, or not one value a column", "one value a column")
    return rows[0]


def _videos(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the videos by name, and the names of files that are none, or a second spelling of one."""
    videos: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        if path.suffix.lower() == ".avi" and path.is_file() and path.stem not in videos:
            videos[path.stem] = path
        else:
            others.append(path.name)
    return videos, others


@lru_cache(maxsize=1)
def _tracings(path: Path, size: int, time: int) -> dict[str, np.ndarray]:
    """Read the tracings of all videos once a process; of a file that was changed since, anew."""
    return read_tracings(path)[0]


def _grey(image: np.ndarray) -> np.ndarray:
    """Return the picture as grey, where its channels are equal but for the rounding of colour in a JPEG."""
    grey = to_grey(image)
    apart = (cv2.norm(channel, grey, cv2.NORM_INF) for channel in cv2.split(image))
    return grey if max(apart) <= NEARLY_GREY else image


class EchoClip:
    """One video, with masks of the left ventricle in the frames that were traced."""

    def __init__(self, root: Path, case: Mapping[str, Any]) -> None:
        """Look up the tracings; no pixel yet."""
        self._root, (self._video, table) = root, case["sources"]
        self._claimed, self._rate = case["n_frames"], case["frame_rate"]
        stated = dict(case["labels"])
        self._size = tuple(int(stated[name]) for name in ("FrameHeight", "FrameWidth") if name in stated)
        stat = (root / table).stat()
        lines = _tracings(root / table, stat.st_size, stat.st_mtime_ns).get(case["source_key"], np.empty((0, 5)))
        self._traced = bool(len(lines))
        self._outlines, _ = trace_ventricles(lines)  # the index says what is strange about them
        self._phases = phases(self._outlines)
        self.problems: list[Unusable] = []

    def count(self) -> int:
        """Return how many frames decode."""
        return sum(1 for _ in self._decoded())

    def mask_areas(self) -> list[int]:
        """Return the area of each frame's outline in pixels, as if the frame had no edges; 0 without one."""
        areas = {frame: round(area(outline)) for frame, outline in self._outlines.items()}
        return [areas.get(frame, 0) for frame in range(max(self._claimed or self.count(), *(n + 1 for n in areas), 0))]

    def read(self, indices: Collection[int] | None = None) -> Iterator[Still]:
        """Yield frames in decoded order; all are decoded, whichever are taken, and counted."""
        if not self._outlines:
            reason = "no tracing of its ventricle can be used" if self._traced else "nobody traced its ventricle"
            mend = "nothing; `frames: middle` takes it all the same, without a mask"
            self.problems.append(Unusable(self._video, reason, mend))
            if indices is not None and not indices:
                return
        count = 0
        for count, image in enumerate(self._decoded(), 1):
            frame = count - 1
            if indices is not None and frame not in indices:
                continue
            mask = self._mask(frame, image.shape[:2]) if frame in self._outlines else None
            yield Still(frame, _grey(image), mask, self._phases.get(frame), frame / self._rate if self._rate else None)
        if self._claimed not in (None, count):
            reason = f"{count} frames decode, {LIST} states {self._claimed}"
            self.problems.append(Unusable(self._video, reason, "nothing, or take the video from another copy"))
        if beyond := [frame for frame in self._outlines if frame >= count]:
            reason = f"frame {', '.join(map(str, beyond))} is traced, but the video has {count} frames, counted from 0"
            self.problems.append(Unusable(self._video, reason, "take video and tracings from one copy of the set"))

    def _decoded(self) -> Iterator[np.ndarray]:
        """Yield every frame as it is decoded."""
        try:
            for _, _, image in read_clip(self._root / self._video):
                yield image
        except UnreadableClip as error:
            raise Unusable(self._video, str(error), "download it again") from None

    def _mask(self, frame: int, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the mask of a traced frame as the publishers' loader draws it; None where it lies outside."""
        if len(self._size) == 2 and shape != self._size:
            sizes = f"{shape[1]} x {shape[0]} pixels, {LIST} states {self._size[1]} x {self._size[0]}"
            raise Unusable(
                self._video, f"frame {frame} has {sizes}: its tracing does not fit", "take the video as shipped"
            )
        height, width = shape
        outline = self._outlines[frame]
        mask = np.zeros((height, width), np.uint8)
        if not (far := outside(outline, width, height)):
            x, y = np.rint(outline).astype(int).T
            mask[skimage.draw.polygon(y, x, (height, width))] = 1
        if far or not mask.any():
            reason = f"the tracing of frame {frame} lies outside the frame of {width} x {height} pixels: it has no mask"
            self.problems.append(Unusable(TRACINGS, reason, "take video and tracings from one copy of the set"))
            return None
        if beyond := int(((outline < 0) | (outline > (width, height))).sum()):
            reason = f"{beyond} coordinates of frame {frame} lie outside its {width} x {height} pixels"
            self.problems.append(
                Unusable(TRACINGS, f"{reason}: the mask ends at the edge", "nothing, or trace it again")
            )
        return mask
