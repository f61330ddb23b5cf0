"""What became of each scenario of a lock in one's own run: the same, or what differs, and why most likely."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflow_scripts.release.differences import CHOOSES, DRAWS, READS, SAYS, bearing_on, differences
from workflow_scripts.release.lock import REBUILD
from workflow_scripts.release.locked_frames import Case, Drawings, tiles_that_differ
from workflow_scripts.scenarios.wording import FIELDS, TEXTS, Unfit, fields_of

SAME = ("identical", "refused in both")
# Every verdict, in the order in which they are counted, and what to do about it.
MEND = {
    "identical": "",
    "refused in both": "",
    "pixels differ": "install the versions of the release's commit; where they are the same, fetch the data set anew",
    "text differs": "use the release's templates and commit; where they are the same, fetch the labels anew",
    "another case": "read the same cases as the release, no more and no fewer, with its options",
    "source missing": "complete the data set, in the version that the release read",
    "refused here": "the reason says what is missing",
    "filled here": "the release's data did not carry it; read the same cases, with its options",
    "not asked for here": "use the release's templates",
}


@dataclass(frozen=True)
class Verdict:
    """What became of one scenario; `tiles` is how many of 64 differ, null where no picture could be compared."""

    verdict: str
    why: str = ""
    tiles: int | None = None


class Judge:
    """Compares one's own run with a lock."""

    def __init__(
        self,
        there: Mapping[str, Any],
        here: Mapping[str, Any],
        changed: Mapping[str, str],
        reasons: Mapping[str, str | None],
        found: Mapping[str, Case],
        drawings: Drawings,
    ) -> None:
        """Take all that a verdict rests on.

        Parameters
        ----------
        there, here
            The lock, and one's own as it would be now.
        changed
            Of own scenarios that were changed since they were written, the file.
        reasons
            Why own scenarios were refused.
        found
            Own cases that have a locked frame, by its hash.
        drawings
            What templates ask for of own cases.
        """
        self._there, self._here, self._changed, self._reasons = there, here, changed, reasons
        self._found, self._drawings = found, drawings
        self._templates = {template["name"]: template for template in there["templates"]}
        self._sources = {each["source_sha256"] for each in there["scenarios"].values() if each["status"] == "filled"}
        self.differ = differences(there, here)

    def judge(self, name: str) -> Verdict:
        """Return what became of a scenario of the lock."""
        there, here = self._there["scenarios"][name], self._here["scenarios"].get(name)
        if here is None:
            return Verdict("not asked for here", f"no template of your run writes it; there it is {there['template']}")
        if there["status"] == "refused":
            return Verdict("refused in both" if here["status"] == "refused" else "filled here")
        if here["status"] == "filled" and here["source_sha256"] == there["source_sha256"]:
            return self._of_the_same_frame(name, there, here)
        refused = here["status"] == "refused" and f"; refused here: {self._reasons[name]}"
        return self._of_another_frame(there, refused or "")

    def _of_the_same_frame(self, name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> Verdict:
        tiles = tiles_that_differ(there["tile_sha256"], here["tile_sha256"])
        file = self._changed.get(name)
        edited = file and f"{file} was changed since your run wrote it: {REBUILD}"
        if here["image_sha256"] != there["image_sha256"]:
            why = self._because(
                "the frame is the same and drawn otherwise", DRAWS, there, "another processor may do so"
            )
            return Verdict("pixels differ", edited or why, tiles)
        if here["text_sha256"] != there["text_sha256"]:
            template = self._templates[there["template"]]
            fields = sorted({field for text in TEXTS for field in fields_of(template.get(text, ""))})
            labels = ", ".join(FIELDS[field].label for field in fields)
            why = self._because("the picture is the same", SAYS, there, f"a label differs ({labels})")
            return Verdict("text differs", edited or why, tiles)
        return Verdict("identical", tiles=tiles)

    def _of_another_frame(self, there: Mapping[str, Any], refused: str) -> Verdict:
        template = self._templates[there["template"]]
        if case := self._found.get(there["source_sha256"]):
            try:
                drawn = tiles_that_differ(there["tile_sha256"], self._drawings.draw(template, case).tiles)
                rest = (
                    f"drawn from it, the picture differs in {drawn} of 64 tiles"
                    if drawn
                    else "it gives the same picture"
                )
            except Unfit as reason:
                rest = f"it cannot be taken here: {reason}"
            why = self._because(
                f"the frame is in your data; {rest}", CHOOSES, there, "the choice moved, as other cases differ"
            )
            return Verdict("refused here" if refused else "another case", why + refused)
        if alike := self._drawings.most_alike(template, there["tile_sha256"], self._sources):
            why = "no frame of yours has its pixels, but one has some of its tiles"
            return Verdict("pixels differ", self._because(why, READS, there, "the file was altered") + refused, alike)
        why = "no frame of yours has its pixels, and no picture that the template could take has a tile of it"
        return Verdict("source missing", self._because(why, READS, there, "the case is not there") + refused)

    def _because(self, what: str, rests_on: tuple[str, ...], there: Mapping[str, Any], otherwise: str) -> str:
        """Return `what` with what of the run explains it; `otherwise`, where nothing of the run differs that could."""
        causes = bearing_on(self.differ, rests_on, there["template"], there["dataset_kind"])
        return (
            f"{what}; most likely by {'; '.join(causes)}"
            if causes
            else f"{what}; versions and options agree: {otherwise}"
        )
