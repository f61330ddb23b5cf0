"""Make the demo's synthetic data sets, each in the true layout of a set that Casebook supports.

Nothing is done where the folder already holds, byte for byte, what this version writes.
"""

import argparse
import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from workflow_scripts.collections.collection import PHANTOM_MARK, phantom_mark
from workflow_scripts.demo import cineclip, ddti, guide
from workflow_scripts.demo.brain_mets_lung import write_brain_mets_lung
from workflow_scripts.demo.chexpert import write_chexpert
from workflow_scripts.demo.coca import write_coca
from workflow_scripts.demo.dicom_folder import write_dicom_folder
from workflow_scripts.demo.echonet_dynamic import write_echonet_dynamic
from workflow_scripts.demo.masked_stills import write_image_folder, write_tg3k, write_tn3k
from workflow_scripts.demo.mura import write_mura
from workflow_scripts.demo.sinoct import write_sinoct
from workflow_scripts.demo.thyroid_table import write_thyroid_table


def write_thyroid_cineclip(root: Path, seed: int) -> None:
    """Write the twin of Stanford's HDF5."""
    cineclip.write_cineclip_hdf5(root, cineclip.demo_cases(seed), seed=seed)


def write_thyroid_guide(root: Path, seed: int) -> None:
    """Write the same kind in the layout of the thyroid guide."""
    guide.write_cineclip_guide(root, guide.demo_cases(), seed=seed)


def write_ddti(root: Path, seed: int) -> None:
    """Write the twin of DDTI."""
    ddti.write_ddti(root, ddti.demo_cases(), seed=seed)
    ddti.spoil_demo(root)


SETS: dict[str, Callable[[Path, int], None]] = {
    "brain-mets-lung": write_brain_mets_lung,
    "chexpert": write_chexpert,
    "coca": write_coca,
    "ddti": write_ddti,
    "dicom-folder": write_dicom_folder,
    "echonet-dynamic": write_echonet_dynamic,
    "mura": write_mura,
    "pictures": write_image_folder,
    "sinoct": write_sinoct,
    "tg3k": write_tg3k,
    "thyroid-cineclip": write_thyroid_cineclip,
    "thyroid-guide": write_thyroid_guide,
    "thyroid-table": write_thyroid_table,
    "tn3k": write_tn3k,
}
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
    for name, write in SETS.items():
        write(beside / name, seed)
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
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the data sets go")
    out = parser.parse_args(argv).out
    try:
        written = make_demo_data(out)
    except ValueError as error:
        sys.exit(f"make_demo_data: {error}")
    if not written:
        print(f"{out} is up to date")
        return 0
    for name in SETS:
        files = [path for path in (out / name).rglob("*") if path.is_file()]
        print(f"{name:<17} {len(files):>4} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
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
