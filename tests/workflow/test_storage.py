"""Data sets in buckets, played by local servers: fetched once, whole, and with the results of a local folder."""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers import ACCOUNT, KEY, Line, azurite_in, free_port, line_to, served
from tests.workflow.conftest import Lab, jobs, products
from workflow_scripts.command import Refusal
from workflow_scripts.download import resume
from workflow_scripts.ingest.fetch_source import fetch_source, open_source

SECRET = "s3cr3t-of-the-store"
AZURE_STRING = "AZURITE_CONNECTION_STRING"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run moto's S3 and return its port."""
    for name in ("moto", "flask_cors", "snakemake_storage_plugin_s3"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    port = free_port()
    with served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, {}):
        yield port


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run Azurite and return its port."""
    pytest.importorskip("snakemake_storage_plugin_azure", reason="snakemake-storage-plugin-azure is not installed")
    with azurite_in(tmp_path_factory.mktemp("azurite")) as port:
        yield port


@dataclass
class S3:
    """A bucket."""

    port: int
    name: str
    url: str

    @property
    def client(self) -> Any:
        """Return a client of the server itself."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="reader",
            aws_secret_access_key=SECRET,
        )

    def put(self, name: str, data: bytes) -> None:
        """Put a file there."""
        self.client.put_object(Bucket=self.name, Key=f"sets/{name}", Body=data)

    def delete(self, name: str) -> None:
        """Delete a file."""
        self.client.delete_object(Bucket=self.name, Key=f"sets/{name}")

    def environment(self, port: int) -> dict[str, str]:
        """Return what a user sets to read it through `port`."""
        return {
            "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "reader",
            "SNAKEMAKE_STORAGE_S3_SECRET_KEY": SECRET,
        }


@dataclass
class Azure:
    """A container."""

    port: int
    name: str
    url: str

    @property
    def client(self) -> Any:
        """Return a client of the server itself."""
        from azure.storage.blob import BlobServiceClient

        service = BlobServiceClient.from_connection_string(self.environment(self.port)[AZURE_STRING])
        return service.get_container_client(self.name)

    def put(self, name: str, data: bytes) -> None:
        """Put a file there."""
        self.client.upload_blob(f"sets/{name}", data, overwrite=True)

    def delete(self, name: str) -> None:
        """Delete a file."""
        self.client.delete_blob(f"sets/{name}")

    def environment(self, port: int) -> dict[str, str]:
        """Return what a user sets to read it through `port`."""
        at = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}"
        return {
            "SNAKEMAKE_STORAGE_AZURE_ACCOUNT_NAME": ACCOUNT,
            AZURE_STRING: f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{at};",
        }


@pytest.fixture(params=["moto", "azurite"])
def bucket(request: pytest.FixtureRequest) -> S3 | Azure:
    """Return a bucket with nothing in it that is wanted."""
    name = f"bucket-{os.urandom(4).hex()}"
    made: S3 | Azure
    if request.param == "moto":
        made = S3(request.getfixturevalue("moto"), name, f"s3://{name}/sets/clinic")
        made.client.create_bucket(Bucket=name)
    else:
        made = Azure(request.getfixturevalue("azurite"), name, f"az://{name}/sets/clinic/")
        made.client.create_container()
    made.put("clinic-2/other.txt", b"begins alike")
    return made


def move(lab: Lab, bucket: S3 | Azure) -> None:
    """Move the lab's clinic from its folder to a bucket."""
    for path in sorted(lab.clinic.rglob("*")):
        if path.is_file():
            bucket.put(f"clinic/{path.relative_to(lab.clinic).as_posix()}", path.read_bytes())
    shutil.rmtree(lab.clinic)
    mine = lab.place / "mine.yaml"
    mine.write_text(mine.read_text().replace("data/clinic\n", f"{bucket.url}\n"))


def test_a_bucket_gives_what_its_folder_gives(lab: Lab, bucket: S3 | Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes; then nothing to do, what changed and no more, the copy when the store is away, and no secret."""
    before = lab.products()
    move(lab, bucket)
    for name, value in bucket.environment(bucket.port).items():
        monkeypatch.setitem(lab.variables, name, value)
    shutil.rmtree(lab.place / "results")
    assert lab.ran()["fetch_source"] == 1
    assert lab.products() == before
    assert not lab.ran()

    bucket.delete("clinic/8.xml")
    bucket.delete("clinic/8_1.jpg")
    again = lab.ran()
    assert (again["fetch_source"], again["index_cases"], again["extract_frames"]) == (1, 1, 1)
    copy = lab.place / "results" / "cache" / "sources" / "clinic"
    assert not list(copy.glob("8*"))
    assert len(list(copy.iterdir())) == 16

    for name, value in bucket.environment(free_port()).items():
        monkeypatch.setitem(lab.variables, name, value)
    away = lab.run()
    assert (away.returncode, jobs(away.stdout)) == (0, {})
    assert "The copy of it that is here is used" in away.stdout
    shutil.rmtree(copy)
    away = lab.run()
    assert away.returncode == 1
    assert [said for said in away.stdout.splitlines() if said.startswith(f"casebook: {bucket.url}")]
    assert "Traceback" not in away.stdout
    lab.variables.update(bucket.environment(bucket.port))
    again = lab.ran()
    assert (again["fetch_source"], again["index_cases"], again["extract_frames"]) == (1, 1, 0)
    assert not lab.ran()

    written = b"".join(path.read_bytes() for path in lab.place.rglob("*") if path.is_file()) + away.stdout.encode()
    assert SECRET.encode() not in written
    assert KEY.encode() not in written


def test_results_in_a_bucket_are_those_of_a_folder(lab: Lab, moto: int, tmp_path: Path) -> None:
    """Also after the line was cut; and who comes with nothing at hand finds nothing left to do."""
    before = lab.products()
    store = S3(moto, f"bucket-{os.urandom(4).hex()}", "")
    store.client.create_bucket(Bucket=store.name)
    there = ("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{store.name}/study")
    for name in ("results", ".snakemake"):
        shutil.rmtree(lab.place / name)
    with line_to(moto) as line:
        lab.variables.update(store.environment(line.port))
        line.cuts = [150_000] * 1000
        assert lab.run(*there).returncode == 1
        line.cuts = []
        shutil.rmtree(lab.place / ".snakemake" / "storage")
        assert lab.ran(*there)
        shutil.rmtree(lab.place / ".snakemake")
        assert not lab.ran(*there)
    for entry in store.client.get_paginator("list_objects_v2").paginate(Bucket=store.name):
        for found in entry["Contents"]:
            path = tmp_path / found["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            store.client.download_file(store.name, found["Key"], str(path))
    assert products(tmp_path / "study" / "results") == before


@pytest.fixture
def line(bucket: S3 | Azure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """Put a line that can break before the bucket, into the environment too."""
    with line_to(bucket.port) as made:
        for name, value in bucket.environment(made.port).items():
            monkeypatch.setenv(name, value)
        yield made


def files(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cut_line_ends_with_one_line_and_the_next_run_goes_on(
    bucket: S3 | Azure, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrived is neither lost nor fetched twice."""
    monkeypatch.setattr(resume, "PATIENCE", 0)
    wanted = {"a/b & (1)%.avi": b"moving", "empty": b"", "large.hdf5": np.random.default_rng(0).bytes(20_000_000)}
    for name, data in wanted.items():
        bucket.put(f"clinic/{name}", data)
    line.cuts = [9_000_000] * 50
    with pytest.raises(Refusal, match=r"large.hdf5.* what arrived is kept") as refusal:
        fetch_source(bucket.url, tmp_path / "clinic")
    assert "\n" not in str(refusal.value)
    line.cuts, line.carried = [], 0
    fetch_source(bucket.url, tmp_path / "clinic")
    assert files(tmp_path / "clinic") == wanted
    assert line.carried < 17_000_000


def test_the_copy_follows_the_bucket(bucket: S3 | Azure, line: Line, tmp_path: Path) -> None:
    """Changed though of one size, gone, a folder that becomes a file: and only what changed is carried."""
    for name, data in {"same": bytes(2_000_000), "changed": b"old", "gone/x": b"x", "folder/x": b"x"}.items():
        bucket.put(f"clinic/{name}", data)
    first = fetch_source(bucket.url, tmp_path / "clinic")
    line.carried = 0
    assert fetch_source(bucket.url, tmp_path / "clinic") == first
    for name in ("gone/x", "folder/x"):
        bucket.delete(f"clinic/{name}")
    bucket.put("clinic/changed", b"new")
    bucket.put("clinic/folder", b"file")
    (tmp_path / "clinic" / "stray").write_text("not the bucket's")
    assert fetch_source(bucket.url, tmp_path / "clinic") != first
    assert files(tmp_path / "clinic") == {"same": bytes(2_000_000), "changed": b"new", "folder": b"file"}
    assert not (tmp_path / "clinic" / "gone").exists()
    assert line.carried < 100_000


def test_a_name_that_leads_elsewhere_is_refused(bucket: S3 | Azure, line: Line, tmp_path: Path) -> None:
    """A bucket is a stranger's."""
    bucket.put("clinic/x", b"x")
    bucket.put("clinic//evil", b"evil")
    with pytest.raises(Refusal, match="would not stay in the folder"):
        fetch_source(bucket.url, tmp_path / "a" / "b" / "clinic")
    assert not list(tmp_path.rglob("evil"))


def test_what_is_wrong_is_said_in_one_line_without_a_secret(
    bucket: S3 | Azure, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No such bucket, nothing under the prefix, no credentials."""
    caplog.set_level(logging.DEBUG)
    for url in (bucket.url.replace("bucket-", "other-"), bucket.url.rstrip("/") + "-3"):
        with pytest.raises(Refusal, match=r"NotFound|NoSuchBucket|holds no file") as refusal:
            fetch_source(url, tmp_path / "clinic")
        assert "\n" not in str(refusal.value)
    for name in bucket.environment(0):
        monkeypatch.delenv(name)
    if isinstance(bucket, Azure):
        with pytest.raises(Refusal, match="SNAKEMAKE_STORAGE_AZURE_ACCOUNT_NAME is not set"):
            open_source(bucket.url)
    assert SECRET not in caplog.text
    assert KEY not in caplog.text
