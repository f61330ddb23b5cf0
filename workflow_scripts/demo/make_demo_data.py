"""Make the demo's synthetic data sets, each in the true layout of a set that Casebook supports.

Nothing is done where the folder already holds, byte for byte, what this version writes.
"""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from workflow_scripts.collections.collection import PHANTOM_MARK, phantom_mark
from workflow_scripts.demo import cineclip, ddti, guide

SETS = ("thyroid-cineclip", "thyroid-guide", "ddti")
RECIPE = ".recipe"
"""Empty while the folder is being written; then the hash of the generator and the `sha256sum` of every file."""


def make_demo_data(out: Path, seed: int = 0) -> bool:
    """Write the data sets under `out`, each beside its place first; return whether anything had to be written.

    Raises
    ------
    ValueError
        If `out` holds data sets of these names that this command did not make.
    """
    recipe = out / RECIPE
    if not recipe.is_file() and any((out / name).exists() for name in SETS):
        raise ValueError(f"{out} holds data sets that are not the demo's: choose another folder")
    if recipe.is_file() and recipe.read_text() == _recipe(out, seed):
        return False
    beside = out / ".partial"
    shutil.rmtree(beside, ignore_errors=True)
    cineclip.write_cineclip_hdf5(beside / "thyroid-cineclip", cineclip.demo_cases(seed), seed=seed)
    guide.write_cineclip_guide(beside / "thyroid-guide", guide.demo_cases(), seed=seed)
    ddti.write_ddti(beside / "ddti", ddti.demo_cases(), seed=seed)
    ddti.spoil_demo(beside / "ddti")
    for name in SETS:
        (beside / name / PHANTOM_MARK).write_text(phantom_mark(beside / name))
    recipe.write_text("")
    for name in SETS:
        if (out / name).exists():
            shutil.rmtree(out / name)
        (beside / name).rename(out / name)
    beside.rmdir()
    recipe.write_text(_recipe(out, seed))
    return True


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Make the demo's synthetic data sets.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the three data sets go")
    out = parser.parse_args(argv).out
    try:
        written = make_demo_data(out)
    except ValueError as error:
        sys.exit(f"make_demo_data: {error}")
    if not written:
        print(f"{out} is up to date")
        return 0
    nodules, patients = cineclip.demo_cases(), guide.demo_cases()
    clips = [case for case in nodules if case.has_clip]
    print(
        f"thyroid-cineclip  {len(nodules)} nodules, {len(clips)} clips, {sum(case.n_frames for case in clips)} frames"
    )
    print(f"thyroid-guide     {len(patients)} patients, {sum(case.n_frames for case in patients)} frames")
    print(f"ddti              {len(ddti.demo_cases())} cases, {len(list((out / 'ddti').glob('*.jpg')))} pictures")
    return 0


def _recipe(root: Path, seed: int) -> str:
    """What `RECIPE` says when `root` holds the work of this version."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    lines = [f"# {hashlib.sha256(sources).hexdigest()} seed {seed}\n"]
    for path in sorted(path for name in SETS for path in (root / name).rglob("*") if path.is_file()):
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root).as_posix()}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
