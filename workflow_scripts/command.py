"""What every command shares: its arguments, its log, its threads, and how it refuses."""

import argparse
import json
import logging
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


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
    """Set up the log on stderr, which the rule writes to its file, and one OpenCV thread.

    The number of threads that decides numerics is fixed, never the machine's (design: numbers do not depend on load).
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    log = logging.getLogger(name)
    log.info(
        "%s with Python %s, numpy %s, pyarrow %s", name, platform.python_version(), version("numpy"), version("pyarrow")
    )
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    return log


def existing(text: str) -> Path:
    """Accept the path of something that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path
