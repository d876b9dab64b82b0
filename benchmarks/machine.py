"""The machine and the versions that a run was made on, without which its bare times mean nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("a2a_session_manager", "pydantic", "pydantic_core", "anyio", "redis", "hiredis", "openai-agents")


def machine() -> dict[str, str]:
    """Return what the measurements ran on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that the measured code runs through."""
    return {package: version(package) for package in _PACKAGES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
