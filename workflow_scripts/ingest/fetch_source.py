"""Copy a data set that lies in a bucket to this machine: what is new or changed there, and no more.

Snakemake's storage plugins open the store, with what their environment variables say and nothing else: no endpoint and
no key is in a configuration, a command line, a log or a table. They are not asked to fetch a folder themselves: that
begins anew after every interruption, keeps what was deleted in the store, and writes wherever a name leads to.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from workflow_scripts import command
from workflow_scripts.download.azure import OPTIONS, Container, Link
from workflow_scripts.download.resume import BLOCK, PART, VERSION, Broken, Changed, Remote, Store, fetch_all
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import canonical_json, sha256

PLUGINS = {"s3": "s3", "az": "azure"}  # by the scheme of a URL


class Source(Store, Protocol):
    """A store that can say what it holds."""

    def remotes(self) -> list[Remote]:
        """Return every file under the URL."""


class S3Bucket:
    """The objects under a prefix of a bucket of S3, or of what speaks like it."""

    def __init__(self, provider: Any, bucket: str, prefix: str) -> None:
        """Take the plugin's client; no request is made yet."""
        self._client, self._bucket, self._prefix = provider.s3c.meta.client, bucket, prefix and f"{prefix}/"
        self._url = f"s3://{bucket}/{self._prefix}"

    def remotes(self) -> list[Remote]:
        """Return every file under the prefix; marks of folders are no files."""
        with _explained(self._url):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = [one for page in pages for one in page.get("Contents", []) if not one["Key"].endswith("/")]
        return [Remote(one["Key"].removeprefix(self._prefix), one["Size"], one["ETag"]) for one in found]

    def look(self, name: str) -> Remote:
        """Return how an object is now."""
        with _explained(self._url + name):
            now = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        return Remote(name, now["ContentLength"], now["ETag"])

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        """Yield an object's bytes from `start` on, of one version."""
        with _explained(self._url + remote.name):
            yield from self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + remote.name, Range=f"bytes={start}-", IfMatch=remote.version
            )["Body"].iter_chunks(BLOCK)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the errors of boto3 into what they mean for a download."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        raise meaning(status, error.response["Error"]["Code"], what) from None
    except BotoCoreError as error:
        raise meaning(None, type(error).__name__, what) from None


class AzureContainer(Container):
    """The blobs under a prefix of a container, with the plugin's credentials in place of a user's link."""

    def __init__(self, provider: Any, container: str, prefix: str) -> None:
        """Take the plugin's account and credentials; no request is made yet."""
        from azure.storage.blob import ContainerClient

        self._link, self._url = Link("", container, prefix, ""), f"az://{container}/{prefix}"
        self._client = ContainerClient(provider.bsc.url, container, provider.bsc.credential, **OPTIONS)

    def _explained(self, error: Any, what: str) -> BaseException:
        status = getattr(error, "status_code", None)
        return meaning(status, str(getattr(error, "error_code", None) or type(error).__name__), f"{self._url}: {what}")


def meaning(status: int | None, code: str, what: str) -> BaseException:
    """Return what a store's answer means for a download. Its own words are left out: they may hold a signature."""
    if status == 412:
        return Changed()
    if status is None or status >= 500 or status in (408, 429):
        return Broken(f"cannot be read ({code}); look at the network and at the credentials in the environment")
    return command.Refusal(
        f"{what}: the store answers {status} ({code}); look at the address and at the credentials in the environment"
    )


def open_source(url: str, environment: Mapping[str, str] = os.environ) -> Source:
    """Open the store that a URL (s3://bucket/prefix, az://container/prefix) leads to.

    Raises
    ------
    Refusal
        When its plugin is not installed, or the environment lacks what it needs.
    """
    from snakemake_interface_storage_plugins.registry import StoragePluginRegistry

    scheme, _, path = url.partition("://")
    bucket, _, prefix = path.partition("/")
    name = PLUGINS[scheme]
    if not StoragePluginRegistry().is_installed(name):
        package = f"snakemake-storage-plugin-{name}"
        raise command.Refusal(f"{url}: {package} is not installed: python -m pip install {package}")
    for library in ("azure", "boto3", "botocore", "urllib3"):  # their logs write URLs
        logging.getLogger(library).setLevel(logging.CRITICAL)
    plugin = StoragePluginRegistry().get_plugin(name)
    values = {}
    for option in dataclasses.fields(plugin.settings_cls):
        if value := environment.get(plugin.get_envvar(option.name)):
            values[option.name] = value
        elif option.metadata.get("required"):
            raise command.Refusal(f"{url}: the environment variable {plugin.get_envvar(option.name)} is not set")
    settings = plugin.settings_cls(**values)
    try:
        provider = plugin.storage_provider(Path(), logging.getLogger("storage"), settings=settings)
    except Exception as error:  # whatever a plugin says of settings may quote them
        raise command.Refusal(f"{url}: its plugin refuses the environment ({type(error).__name__})") from None
    return (S3Bucket if scheme == "s3" else AzureContainer)(provider, bucket, prefix.strip("/"))


def look_at(url: str) -> tuple[Source, list[Remote]]:
    """Return the store and every file under a URL.

    Raises
    ------
    Refusal
        When the store cannot be read, or holds nothing there.
    """
    source = open_source(url)
    try:
        remotes = source.remotes()
    except Broken as error:
        raise command.Refusal(f"{url} {error}") from None
    if not remotes:
        raise command.Refusal(f"{url} holds no file; look at the address")
    return source, sorted(remotes, key=lambda remote: remote.name)


def fingerprint(remotes: Sequence[Remote]) -> str:
    """Return a hash over names, sizes and versions (ETags): what a change in the store would change."""
    return sha256(canonical_json([(remote.name, remote.size, remote.version) for remote in remotes]))


@cache
def source_version(url: str, fetched: Path) -> str:
    """Return the fingerprint of a source; where it cannot be reached, that of the whole copy that `fetched` is of.

    Raises
    ------
    Refusal
        When it cannot be reached, and there is no whole copy.
    """
    try:
        return fingerprint(look_at(url)[1])
    except command.Refusal as refusal:
        if not fetched.is_file():
            raise
        print(f"{refusal}. The copy of it that is here is used", file=sys.stderr)
        return fetched.read_text(encoding="utf-8")


def fetch_source(url: str, folder: Path) -> str:
    """Make `folder` what lies under `url`, and return the fingerprint of that.

    Beside it `folder.json` keeps the version of each file: what an interrupted run fetched is not fetched twice.

    Raises
    ------
    Refusal
        When the store cannot be read; what arrived is kept.
    """
    source, remotes = look_at(url)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder.with_name(f"{folder.name}.json")
    before: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    now = {remote.name: remote.version for remote in remotes}
    for here, _, names in os.walk(folder, topdown=False):
        for path in (Path(here, name) for name in names):
            name = path.relative_to(folder).as_posix()
            half = name not in now and name.removesuffix(VERSION).removesuffix(PART) in now
            if not half and (name not in now or before.get(name) != now[name]):
                path.unlink()
        if Path(here) != folder and not os.listdir(here):
            os.rmdir(here)
    with write_beside(kept) as beside:
        beside.write_text(canonical_json(now), encoding="utf-8")
    fetch_all(source, remotes, folder)
    return fingerprint(remotes)


def main(argv: list[str] | None = None) -> None:
    """Fetch one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--url", required=True, help="s3://bucket/prefix or az://container/prefix")
    arguments.add_argument("--folder", type=Path, required=True, help="where the copy lies")
    arguments.add_argument("--fetched", type=Path, required=True, help="file to write once the copy is whole")
    args = arguments.parse_args(argv)
    command.start("fetch_source")
    try:
        version = fetch_source(args.url, args.folder)
    except OSError as error:  # the disk is full; a file where the store has a folder
        raise command.Refusal(f"{args.folder}: {error}") from None
    args.fetched.write_text(version, encoding="utf-8")


if __name__ == "__main__":
    main()
