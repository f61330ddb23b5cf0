"""What the scenarios filled so far have used up: patients, and pictures."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from workflow_scripts.imaging.near_duplicates import difference_hash, thumbnail
from workflow_scripts.imaging.stills import to_grey
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.wording import Unfit

# Stricter than for a split, where a false pair costs nothing: films and views of the heart are all much alike.
MAX_DISTANCE = 6
MIN_CORRELATION = 0.97


@dataclass
class Taken:
    """What the scenarios filled so far have used up."""

    patients: Counter[tuple[str, str]] = field(default_factory=Counter)
    pictures: set[str] = field(default_factory=set)
    hashes: list[int] = field(default_factory=list)
    thumbnails: list[np.ndarray] = field(default_factory=list)

    def take(self, patient: tuple[str, str], picture: np.ndarray) -> None:
        """Note a picture.

        Raises
        ------
        Unfit
            When it repeats another, exactly or nearly; nothing is noted then.
        """
        exact, grey = pixel_sha256(picture), to_grey(picture)
        if exact in self.pictures:
            raise Unfit("its picture is already in another scenario")
        code, small = difference_hash(grey), thumbnail(grey)
        distances = np.bitwise_count(np.array(self.hashes, np.uint64) ^ np.uint64(code))
        if any(self.thumbnails[near] @ small >= MIN_CORRELATION for near in np.flatnonzero(distances <= MAX_DISTANCE)):
            raise Unfit("its picture nearly repeats that of another scenario")
        self.patients[patient] += 1
        self.pictures.add(exact)
        self.hashes.append(code)
        self.thumbnails.append(small)
