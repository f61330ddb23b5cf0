"""A container of Azure Blob Storage, read through a user's own SAS link: how Stanford AIMI gives out its data sets.

The link is as good as a password. It comes from the environment, goes into requests only, and no text that leaves this
module holds it: not a log, not an error.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workflow_scripts.collections.collection import Card
from workflow_scripts.command import Refusal
from workflow_scripts.download.resume import BLOCK, Broken, Changed, Remote, fetch_all

LINK = "CASEBOOK_SAS_URL"
HOST = "CASEBOOK_SAS_HOST"  # another host than Azure's, which stands path-style: the account before the container
AZURE_HOST = r"[a-z0-9]+(\.z[0-9]+)?\.blob\.core\.windows\.net"
OPTIONS: dict[str, Any] = {
    "max_single_get_size": BLOCK,
    "max_chunk_get_size": BLOCK,
    "connection_timeout": 20,
    "read_timeout": 60,
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 1,
    "permit_redirects": False,
}
INSTALL = "azure-storage-blob is not installed: python -m pip install 'azure-storage-blob>=12.26'"


@dataclass(frozen=True)
class Link:
    """A SAS link, taken apart; its secret stays out of its `repr`."""

    account: str  # URL
    container: str
    prefix: str  # of the blobs that are wanted, without / at its end
    token: str = field(repr=False)

    def scrubbed(self, text: str) -> str:
        """Return a text without the query of any URL, and without the signature however it is written."""
        signature = parse_qs(self.token)["sig"][0]
        text = re.sub(r"\?[^\s'\"<>]+", "?…", text)
        for secret in (self.token, *re.findall("sig=([^&]*)", self.token), signature):
            text = text.replace(secret, "…")
        return text


def read_link(environment: Mapping[str, str], page: str) -> Link:
    """Take the SAS link from the environment; `page` is where the user gets one.

    Raises
    ------
    Refusal
        When there is none, or it is not one of Azure's. The message never quotes it.
    """
    text, other = environment.get(LINK, "").strip().strip("'\""), environment.get(HOST)
    if not text:
        raise Refusal(
            f"{LINK} is not set. Nothing restricted is fetched without your own link: accept the terms on {page}, then"
            f" give the link that it shows you with  read -rs {LINK} && export {LINK}"
        )
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", f":{url.port}" if url.port else ""
    except ValueError:
        raise Refusal(f"{LINK} is not a link; copy the whole of it from {page}") from None
    own = bool(other) and host == other
    if not own and not re.fullmatch(AZURE_HOST, host):
        raise Refusal(f"{LINK} leads to {host or 'no host'!r}; a link of {page} leads to *.blob.core.windows.net")
    if not own and (url.scheme != "https" or port):
        raise Refusal(f"{LINK} does not begin with https://{host}/; copy the whole of it from {page}")
    parts = unquote(url.path).strip("/").split("/")
    account = f"{url.scheme}://{host}{port}" + (f"/{parts.pop(0)}" if own else "")
    if not parts or not parts[0]:
        raise Refusal(f"{LINK} names no container; copy the whole of it from {page}")
    if not parse_qs(url.query).get("sig"):
        raise Refusal(f"{LINK} carries no signature (sig=…); copy the whole of it from {page}, in quotes")
    return Link(account, parts[0], "/".join(parts[1:]), url.query)


class Container:
    """The blobs under a link. Nothing but what the link names is asked for, and redirections are not followed."""

    def __init__(self, link: Link, page: str) -> None:
        """Open the container; no request is made yet."""
        try:
            from azure.core.credentials import AzureSasCredential
            from azure.storage.blob import ContainerClient
        except ImportError:
            raise Refusal(INSTALL) from None
        for name in ("azure", "urllib3"):  # their logs write URLs
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._link, self._page = link, page
        self._client = ContainerClient(
            link.account,
            link.container,
            AzureSasCredential(link.token),
            **OPTIONS,
        )

    def remotes(self) -> list[Remote]:
        """Return every file under the link, sorted by name; marks of folders are no files."""
        from azure.core.exceptions import AzureError

        prefix = self._link.prefix
        try:
            blobs = list(self._client.list_blobs(name_starts_with=prefix or None))
        except AzureError as error:
            raise self._explained(error, "the list of files") from None
        inside = [blob for blob in blobs if not prefix or blob.name == prefix or blob.name.startswith(f"{prefix}/")]
        folders = {parent for blob in inside for parent in _parents(blob.name)}
        files = [blob for blob in inside if blob.size or not (blob.name.endswith("/") or blob.name in folders)]
        return sorted((self._remote(blob) for blob in files), key=lambda remote: remote.name)

    def look(self, name: str) -> Remote:
        """Return how a blob is now."""
        from azure.core.exceptions import AzureError

        try:
            return self._remote(self._client.get_blob_client(self._blob(name)).get_blob_properties())
        except AzureError as error:
            raise self._explained(error, name) from None

    def read(self, remote: Remote, start: int) -> Iterator[bytes]:
        """Yield a blob's bytes from `start` on, by ranges of one version."""
        from azure.core import MatchConditions
        from azure.core.exceptions import AzureError

        assert remote.size is not None
        try:
            yield from self._client.download_blob(
                self._blob(remote.name),
                offset=start,
                length=remote.size - start,
                etag=remote.version,
                match_condition=MatchConditions.IfNotModified,
            ).chunks()
        except AzureError as error:
            raise self._explained(error, remote.name) from None

    def _blob(self, name: str) -> str:
        prefix = self._link.prefix
        return f"{prefix}/{name}" if prefix and name != prefix.rpartition("/")[2] else prefix or name

    def _remote(self, blob: Any) -> Remote:
        name = blob.name.removeprefix(f"{self._link.prefix}/") if self._link.prefix else blob.name
        if name == self._link.prefix:
            name = name.rpartition("/")[2]
        md5 = blob.content_settings.content_md5
        tag = blob.etag.strip('"')  # the list writes it without quotes, the blob with them
        return Remote(name, blob.size, f'"{tag}"', bytes(md5) if md5 else None)

    def _explained(self, error: Any, what: str) -> BaseException:
        """Return what an error of Azure's means for a download; what it says itself is scrubbed."""
        status = getattr(error, "status_code", None)
        if status == 412:
            return Changed()
        if status == 403:
            return Refusal(
                f"{what}: the link is refused (403): it has expired, or does not allow to read and list. Ask for a"
                f" new link on {self._page} and set {LINK} to it; what has arrived is kept"
            )
        if status == 404:
            return Refusal(f"{what}: not found in the container {self._link.container!r} (404); take a new link")
        if status is not None and 300 <= status < 500 and status not in (408, 429):
            return Refusal(f"{what}: the store answers {status}; take a new link on {self._page}")
        said = f"the store answers {status}" if status else self._link.scrubbed(" ".join(str(error).split()))
        return Broken(said[:300])


def download(about: Card, folder: Path) -> int:
    """Fetch what the user's link leads to into `folder`, and return how many files were fetched."""
    page = about.homepage
    link = read_link(os.environ, page)
    try:
        container = Container(link, page)
        remotes = container.remotes()
        if not remotes:
            raise Refusal(f"the link leads to no file: container {link.container!r}, {link.prefix or 'all of it'}")
        return fetch_all(container, remotes, folder)
    except Broken as error:
        raise Refusal(f"{error}; try later") from None
    except Exception as error:  # nothing unforeseen may bring the link to a screen in its traceback
        raise Refusal(f"{type(error).__name__}: {link.scrubbed(str(error))}") from None


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:k]) for k in range(1, len(parts))]
