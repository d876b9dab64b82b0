"""Checks what a wheel holds against the package beside it, or prints its extras: WHEEL, or --extras WHEEL."""

from __future__ import annotations

import sys
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

PACKAGE = "a2a_session_manager"
OF_DEVELOPERS = {"dev", "clients", "bridges"}


def main(arguments: list[str]) -> None:
    wheel = ZipFile(arguments[-1])
    if "--extras" in arguments:
        print(*extras(wheel), sep="\n")
    else:
        check_contents(wheel)


def extras(wheel: ZipFile) -> list[str]:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return [
        extra
        for extra in BytesParser().parsebytes(wheel.read(metadata)).get_all("Provides-Extra", [])
        if extra not in OF_DEVELOPERS
    ]


def check_contents(wheel: ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {
        path.as_posix()
        for path in Path(PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
    }
    if held != wanted:
        sys.exit(f"the wheel lacks {sorted(wanted - held)} and has too much: {sorted(held - wanted)}")
    licences = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    if not licences:
        sys.exit("the wheel lacks its LICENSE")
    print(f"the wheel holds the package's {len(held)} files and its licence, and nothing else")


if __name__ == "__main__":
    main(sys.argv[1:])
