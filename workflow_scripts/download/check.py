"""Is a downloaded data set whole and well-formed? Its files are listed and its tables read, but no pixel."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from workflow_scripts.collections.collection import TABLE, Card, Indexed, Source, WrongLayout, find, is_phantom
from workflow_scripts.collections.collection import card as read_card
from workflow_scripts.command import Refusal
from workflow_scripts.download.catalogue import size_text
from workflow_scripts.download.resume import PART
from workflow_scripts.files import listing
from workflow_scripts.provenance import ContentHashes, sha256

SHOWN = 10  # problems of one sort that are written out


class NoHashes(ContentHashes):
    """Names in the place of hashes of contents: nothing is read. Two files with one content pass for two."""

    def of(self, path: Path, part: str = "", compute: Callable[[], str] | None = None) -> str:
        """Return a hash of the name of a file and of its part."""
        return sha256(f"{path}\n{part}")


def check(about: Card, root: Path) -> tuple[str, bool]:
    """Compare the folder of a published data set with its card.

    Returns
    -------
    tuple
        What is to be said, and whether the set is whole: every published case is there and usable, and no file is half
        downloaded.

    Raises
    ------
    Refusal
        When there is no such folder, when it does not hold this data set at all, or when nothing is published to
        compare it with.
    """
    if not about.counts:
        raise Refusal(
            f"{about.name} is for files of your own: nothing is published to compare them with; name them in a"
            " configuration and run `snakemake check`"
        )
    if not root.is_dir():
        raise Refusal(f"{root} is not a folder; name the one with the data set with --root")
    about = read_card(about.name, is_phantom(root))
    files, indexed = listing(root), _indexed(about, root)
    cases = [case for case in indexed if case.case_id != TABLE]
    usable = [case.row for case in cases if case.row]
    here = {"cases": len({case.case_id for case in cases})}
    if all(row.get("n_frames") for row in usable):
        here["frames"] = sum(row["n_frames"] for row in usable)
    if all(row["group_kind"] == "patient" for row in usable):
        here["patients"] = len({row["group_id"] for row in usable})
    published = f" (published: {size_text(about.size_bytes)})" if about.size_bytes else ""
    size = size_text(sum(size for _, size, _ in files))
    lines = [f"{about.title}, in {root}", f"  {len(files):,} files, {size}{published}"]
    lines += [
        f"  {count:,} {what} published; {f'{here[what]:,} are here' if what in here else 'not counted here'}"
        for what, count in about.counts.items()
    ]
    faults = [
        f"{what} not here: {count - here[what]:,} of {count:,}"
        for what, count in about.counts.items()
        if here.get(what, count) < count
    ]
    broken = [_said(case) for case in cases if not case.row]
    faults += [f"cases that cannot be used: {len(broken):,}"] if broken else []
    halves = [name for name, _, _ in files if name.endswith(PART)]
    faults += [f"files half downloaded: {len(halves):,} (give --download again)"] if halves else []
    lines += _listed("half downloaded", halves)
    lines += _listed("cannot be used", broken)
    lines += _listed("usable in part", [_said(case) for case in cases if case.row and case.problems])
    lines += _listed("to know", [_said(case) for case in indexed if case.case_id == TABLE])
    lines.append(f"Not whole: {'; '.join(faults)}." if faults else "Whole.")
    return "\n".join(lines), not faults


def _indexed(about: Card, root: Path) -> list[Indexed]:
    """Return every case as its module indexes it."""
    with tempfile.TemporaryDirectory() as cache:  # what the index wants to keep is not kept: nothing is written to root
        source, hashes = Source(root, Path(cache)), NoHashes(root, Path(cache) / "hashes.json")
        try:
            return list(tqdm(find(about.name).index(source, hashes), desc=f"look at {root.name}", unit=" cases"))
        except WrongLayout as error:
            raise Refusal(str(error)) from None


def _said(case: Indexed) -> str:
    name = "" if case.case_id == TABLE else f"{case.case_id}: "
    return name + "; ".join(f"{problem.file}: {problem.reason}; mend: {problem.mend}" for problem in case.problems)


def _listed(what: str, texts: list[str]) -> list[str]:
    """Return a heading with the number of `texts`, and the first of them; nothing where there is none."""
    if not texts:
        return []
    more = [f"    … and {len(texts) - SHOWN:,} more"] if len(texts) > SHOWN else []
    return [f"  {what} ({len(texts):,})", *(f"    {text}" for text in texts[:SHOWN]), *more]
