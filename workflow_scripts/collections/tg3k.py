"""TG3K: stills of 16 ultrasound videos with masks of the thyroid gland (not of nodules).

The shipped split has frames of one video on both sides, and nothing says which frame is of which video: all are one
group until a user's own table tells them apart. Source: Gong et al., Comput Biol Med 2023,
doi:10.1016/j.compbiomed.2022.106389.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from workflow_scripts.collections.collection import (
    TABLE,
    Clip,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    not_understood,
    root_of,
)
from workflow_scripts.collections.masked_stills import MaskedStill, one, pictures_in
from workflow_scripts.files import natural
from workflow_scripts.provenance import ContentHashes, canonical_json, sha256

SPLIT = "tg3k-trainval.json"
EXPECTED = "thyroid-image/ and thyroid-mask/ with <number>.jpg, as TG3K ships them"


def index(source: Source, hashes: ContentHashes) -> Iterator[Indexed]:
    """Yield every still, and every mask that has none."""
    folder = root_of(source.root, "thyroid-image")
    if not (folder / "thyroid-image").is_dir():
        raise WrongLayout(f"{source.root}: no thyroid-image/ found; expected {EXPECTED}")
    others = {path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."}
    yield from not_understood(folder.relative_to(source.root).as_posix(), sorted(others - {SPLIT}), EXPECTED)
    if SPLIT in others:
        reason = "its split is not used: it has frames of one video in both parts"
        yield Indexed(TABLE, None, [Unusable(SPLIT, reason, "name the videos in a table of your own (option groups)")])
    pictures, masks = pictures_in(folder / "thyroid-image"), pictures_in(folder / "thyroid-mask")
    for stem in sorted(pictures.keys() | masks.keys(), key=natural)[: source.limit]:
        case = Indexed(stem, None)
        try:
            files = [one(each[stem]) for each in (pictures, masks) if stem in each]
            if stem not in pictures:
                raise Unusable(files[0].name, f"no picture thyroid-image/{stem}.jpg with it", "add the picture")
            if stem not in masks:
                case.problems.append(Unusable(files[0].name, "it has no mask", f"add thyroid-mask/{stem}.jpg"))
            video = source.groups.get(stem)
            case.row = {
                "body_part": "thyroid",
                "group_id": video or "all",
                "group_kind": "video" if video else "the whole set: which frame is of which video is not known",
                "sources": [path.relative_to(source.root).as_posix() for path in files],
                "source_kind": "still-mask",
                "content_sha256": sha256(canonical_json([hashes.of(path) for path in files])),
                "n_frames": 1,
                "label_source": "none",
            }
        except Unusable as problem:
            case.problems.append(problem)
        yield case


def open_case(source: Source, case: Mapping[str, Any]) -> Clip:
    """Open one still."""
    return MaskedStill(source.root, case)
