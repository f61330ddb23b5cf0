"""What a result rests on: the code that made it, its parameters, the content of its sources.

Snakemake tracks a script's time and none of its imports, and compares parameters by their `repr`. So every rule
carries two texts: `code_version` of its command, and its parameters as canonical JSON.
"""

import ast
import contextlib
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.files import write_beside

PACKAGE = "workflow_scripts"
ROOT = Path(__file__).parents[1]
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
BLOCK = 1 << 16  # bytes read at once: most files are smaller, and a larger buffer costs them more than it saves others


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: keys sorted, no blanks; NaN and foreign types are refused."""
    return ENCODER.encode(value)


def sha256(data: bytes | str) -> str:
    """Return the SHA-256 of bytes or of a text in UTF-8, in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def pixel_sha256(pixels: Any) -> str:
    """Return the SHA-256 of decoded pixels (a numpy array) with their shape and type, whatever file held them."""
    return sha256(f"{pixels.dtype.str}{pixels.shape}".encode() + pixels.tobytes())


def chunk_of(case_id: str, n_chunks: int) -> str:
    """Return the name of the chunk that a case is dealt into: by its own name alone, whoever else there is."""
    return f"{int(sha256(case_id), 16) % n_chunks:03d}"


def code_version(*modules: str) -> str:
    """Return a hash over the meaning of `modules` and of every local module and data file that they rest on.

    Comments, docstrings and formatting do not take part: the syntax tree is written out anew. A module that is found by
    name at run time must be named here as well.
    """
    return sha256("".join(f"{path}\n{normalised_source(path)}\n" for path in sorted(imported_files(modules))))[:16]


def imported_files(modules: tuple[str, ...]) -> set[Path]:
    """Return the files of `modules` and, transitively, of the local modules they import, with the data they load."""
    found: set[Path] = set()
    waiting = [module_file(name) for name in modules]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += local_imports(path)
    return found


def module_file(name: str) -> Path:
    """Return the file of a module of this package, relative to the repository."""
    stem = Path(*name.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    raise ValueError(f"there is no module {name} under {PACKAGE}/")


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file of this repository."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@cache
def local_imports(path: Path) -> tuple[Path, ...]:
    """Return what a module imports from this package, and the data files named in it that lie beside it."""
    if path.suffix != ".py":
        return ()
    return tuple(_local_imports(path))


def _local_imports(path: Path) -> Iterator[Path]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (module_file(alias.name) for alias in node.names if alias.name.startswith(PACKAGE))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            assert node.module
            for alias in node.names:
                try:  # `from package import module`, or `from module import name`
                    yield module_file(f"{node.module}.{alias.name}")
                except ValueError:
                    yield module_file(node.module)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w.-]{1,60}", node.value)
        ):
            for beside in (path.parent / node.value, path.parent / f"{node.value}.yaml"):
                if beside.suffix in {".yaml", ".html", ".css", ".js", ".json", ".j2"} and (ROOT / beside).is_file():
                    yield beside


@cache
def normalised_source(path: Path) -> str:
    """Return a module's code without comments, docstrings and formatting; a data file's content as it is."""
    if path.suffix == ".yaml":
        return canonical_json(yaml.safe_load((ROOT / path).read_text(encoding="utf-8")))
    if path.suffix != ".py":
        return file_sha256(ROOT / path)
    tree = parsed(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def salt(cache: Path) -> str:
    """Return the secret under which identifiers are hashed: CASEBOOK_SALT, or one drawn once and kept in `cache`."""
    if given := os.environ.get("CASEBOOK_SALT"):
        return given
    kept = cache / "salt"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache) as drawn:  # readable by its owner alone
            drawn.write(secrets.token_hex(16))
            drawn.flush()
            with contextlib.suppress(FileExistsError):  # of two jobs that draw one at once, the first is kept
                os.link(drawn.name, kept)
    return kept.read_text(encoding="utf-8")


class ContentHashes:
    """Hashes of what source files hold, kept from run to run under path, size and time, as git's index does.

    The cache only saves reading: what reaches a table is the hash of the content.
    """

    def __init__(self, root: Path, cache_file: Path) -> None:
        """Open the cache of the data set under `root`; a broken cache is an empty one."""
        self._prefix, self._file = f"{root}{os.sep}", cache_file
        try:
            self._known: dict[str, str] = json.loads(cache_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._known = {}
        self._used: dict[str, str] = {}

    def of(self, path: Path, part: str = "", compute: Callable[[], str] | None = None) -> str:
        """Return the hash of a file, or of the `part` of it that `compute` reads."""
        stat = path.stat()
        name = str(path).removeprefix(self._prefix)  # pathlib's relative_to costs as much as to read a small file
        key = canonical_json([name, part, stat.st_size, stat.st_mtime_ns])
        if key not in self._used:
            self._used[key] = self._known.pop(key, "") or (compute() if compute else file_sha256(path))
        return self._used[key]

    def save(self) -> None:
        """Keep the hashes that were asked for, and forget those of files that are gone."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with write_beside(self._file) as beside, beside.open("w", encoding="utf-8") as file:
            json.dump(self._used, file, sort_keys=True)
