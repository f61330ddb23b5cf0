"""What the tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of real samples; a test that asks for it skips, visibly, where there is none."""
    folder = os.environ.get("CASEBOOK_SAMPLES")
    if not folder:
        pytest.skip("CASEBOOK_SAMPLES is not set: no real samples")
    return Path(folder)
