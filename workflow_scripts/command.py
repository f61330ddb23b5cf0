"""What every command shares: its arguments, its log, its threads, and how it refuses."""

import argparse
import json
import logging
import mmap
import platform
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

SPARE = 1 << 29  # bytes: what a large picture and its copies take


class Refusal(SystemExit):
    """A wrong table or setting: the run stops with one line that says what to do, and no traceback."""

    def __init__(self, message: str) -> None:
        """Say what is wrong, where, what was expected, and how to mend it."""
        super().__init__(f"casebook: {message}")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the command's own docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def json_argument(text: str) -> dict[str, Any]:
    """Read a rule's parameters: one canonical JSON object."""
    value: dict[str, Any] = json.loads(text)
    return value


def start(name: str) -> logging.Logger:
    """Set up the log on stderr, which the rule writes to its file, one thread of OpenCV and Arrow, and one last line.

    The number of threads that decides numerics is fixed, never the machine's (design: numbers do not depend on load).
    """
    sys.excepthook = partial(_last_words, name)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    log = logging.getLogger(name)
    log.info(
        "%s with Python %s, numpy %s, pyarrow %s", name, platform.python_version(), version("numpy"), version("pyarrow")
    )
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].set_cpu_count(1)
    return log


def enough_memory() -> bool:
    """Tell whether half a gigabyte can still be had; it is asked for and not touched.

    Libraries say of a good file that it is damaged when they cannot get the memory to decode it.
    """
    try:
        mmap.mmap(-1, SPARE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        return False
    return True


def _last_words(name: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of what nobody caught; where memory is short, the line that says so."""
    if not (short := isinstance(error, MemoryError) or "Insufficient memory" in str(error)):  # as OpenCV calls it
        sys.__excepthook__(kind, error, trace)
    if short or not enough_memory():
        mend = "run with fewer --cores, or where a job gets more memory (ulimit -v), and give the same command again"
        print(f"casebook: {name}: there was not enough memory; {mend}", file=sys.stderr)


def existing(text: str) -> Path:
    """Accept the path of something that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path
