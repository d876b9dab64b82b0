"""SourceFile: a file that is read value by value, so that its length takes no memory."""

from __future__ import annotations

import codecs
import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown_path

_CHUNK: Final = 1 << 20
# Characters of one value, such as a line of a log or a whole conversation.
LONGEST_VALUE: Final = 64 << 20
_SPACE: Final = re.compile(r"[ \t\r\n,\ufeff]*")
# How far before the end of what was read an error may lie that more of the file may mend.
_NEAR: Final = 12
_UNFINISHED: Final = "Unterminated string"


class ImportFault(InvalidSessionOperation):
    """A file cannot be imported; nothing was written."""


class Value(NamedTuple):
    """A JSON value of a file, the number of the line where it begins, and how many characters it has."""

    data: Any
    line: int
    weight: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be imported, as long as it was when the import began: what is written to it since is for the next.

    Attributes:
        path, name: where it is, and its name without the ending.
        modified_at: when it was last written to.
        size: in bytes.
    """

    path: Path
    size: int
    modified_at: datetime

    @classmethod
    def at(cls, path: Path) -> SourceFile:
        """Return the file at a path. Raises ImportFault when it cannot be looked at."""
        try:
            status = path.stat()
        except OSError as error:
            raise ImportFault(f"{shown_path(path)} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            text = "is no file that is read twice, such as a pipe: write it into one first; nothing was written"
            raise ImportFault(f"{shown_path(path)} {text}")
        return cls(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def fault(self, text: str, line: int | None = None) -> ImportFault:
        """Return the error for something that is wrong in the file."""
        where = f"{shown_path(self.path)}" if line is None else f"{shown_path(self.path)}, line {line}"
        return ImportFault(f"{where}: {text}; nothing was written")

    def head(self, count: int) -> bytes:
        """Return the first bytes."""
        with self._open() as file:
            data: bytes = file.read(count)
        return data

    def values(self) -> Iterator[Value]:
        """Yield the JSON values of the file, one after another as in lines; of an array, each of its items.

        Raises ImportFault for what is no JSON, for a file that ends inside a value, for a value that is too long, and
        for one that is nested too deeply.
        """
        with self._open() as file:
            yield from _Values(self, file)

    def _open(self) -> Any:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise ImportFault(f"{shown_path(self.path)} cannot be read: {error.strerror}") from error


class _Values:
    def __init__(self, source: SourceFile, file: Any) -> None:
        self._source = source
        self._file = file
        self._left = source.size
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._decoder = json.JSONDecoder(parse_constant=_refuse)
        self._text = ""
        self._at = 0
        self._line = 1
        self._is_in_array = False

    def __iter__(self) -> Iterator[Value]:
        while self._skip():
            mark = self._text[self._at]
            if mark == "]" and self._is_in_array:
                self._is_in_array = False
                self._at += 1
            elif mark == "[" and not self._is_in_array:
                self._is_in_array = True
                self._at += 1
            else:
                yield self._value()
        if self._is_in_array:
            raise self._source.fault("the file ends before its array does: it was cut off", self._line)

    def _skip(self) -> bool:
        """Go to where the next value begins; tell whether there is one."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches anything
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return True
            if not self._read(_CHUNK):
                return False

    def _value(self) -> Value:
        more = _CHUNK
        while True:
            try:
                data, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or self._is_whole(data) or not self._read(more):
                    return self._taken(data, end)
            except json.JSONDecodeError as error:
                self._judge(error)
                if not self._read(more):
                    raise self._source.fault("the file ends inside a record: it was cut off", self._line) from None
            except RecursionError:
                raise self._source.fault("a record is nested too deeply", self._line) from None
            except ValueError as error:
                raise self._source.fault(f"this is no JSON: {error}", self._line) from None
            more *= 2

    def _is_whole(self, data: Any) -> bool:
        """Tell whether a value that goes to the end of what was read may not go on: a number may."""
        return isinstance(data, dict | list | str)

    def _taken(self, data: Any, end: int) -> Value:
        value = Value(data, self._line, end - self._at)
        self._line += self._text.count("\n", self._at, end)
        self._at = end
        return value

    def _judge(self, error: json.JSONDecodeError) -> None:
        """Raise ImportFault for an error that more of the file cannot mend."""
        length = len(self._text)
        if len(self._text) - self._at > LONGEST_VALUE:
            raise self._source.fault(f"a record is longer than {LONGEST_VALUE >> 20} million characters", self._line)
        if error.pos < length - _NEAR and not error.msg.startswith(_UNFINISHED):
            line = self._line + self._text.count("\n", self._at, error.pos)
            raise self._source.fault(f"this is no JSON: {error.msg.lower()}", line) from None

    def _read(self, count: int) -> bool:
        """Read more, and forget what was taken; tell whether there was more."""
        data = self._file.read(min(count, self._left))
        if not data:
            return False
        self._left -= len(data)
        try:
            text = self._decode(data, not self._left)
        except UnicodeDecodeError as error:
            raise self._source.fault(f"this is no text in UTF-8: {error.reason}", self._line) from None
        self._text = self._text[self._at :] + text
        self._at = 0
        return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
