"""A GPU that several workers share: each gives back what a test took, and tests that take gigabytes take turns."""
import fcntl
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def memory_given_back():
    """torch keeps what it has freed, for this process alone."""
    yield
    if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@pytest.fixture
def gigabytes(memory_given_back):
    """For a test that takes several: at any time, it is the only one of this machine that does."""
    with open(Path(tempfile.gettempdir()) / "inferlab-gigabytes.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
