"""A folder for a data set, with a README of what to do; nothing that is there already is touched."""

from pathlib import Path

from workflow_scripts.collections.collection import PHANTOM_MARK, Card
from workflow_scripts.command import Refusal
from workflow_scripts.download.catalogue import describe

README = "README.txt"
IGNORE = "# Data under an agreement: nothing in this folder goes into git.\n*\n"


def prepare(about: Card, folder: Path) -> list[str]:
    """Make the folder, its README, and a `.gitignore` that keeps git away from all in it; return what was done.

    Raises
    ------
    Refusal
        When `folder` is a file, cannot be made, or holds synthetic data, which would no longer count as such.
    """
    if (folder / PHANTOM_MARK).exists():
        raise Refusal(f"{folder} holds synthetic data of the demo; name another folder with --to")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            _write_once(folder / README, describe(about)),
            _write_once(folder / ".gitignore", IGNORE),
        ]
    except OSError as error:
        raise Refusal(f"{folder} cannot be made or written ({error.strerror}); name another with --to") from None


def _write_once(path: Path, text: str) -> str:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        same = path.is_file() and path.read_bytes() == text.encode()
        return f"{path} is there already" + ("" if same else ", with other text: it stays as it is")
    return f"{path} written"
