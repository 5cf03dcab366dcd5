"""A log's bytes as lines: packed or not, in UTF-8, UTF-16 or any other bytes, from files, pipes or stdin.

Everything is read once, from the beginning to the end, in blocks that end with a line's end.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from backports import zstd

from traffic.logs.errors import LogError

BLOCK: Final = 1 << 23
_LONGEST_LINE: Final = 1 << 24
_NESTED: Final = 3  # times that something packed is packed again
_PACKED: Final[dict[bytes, tuple[str, Callable[[], Any]]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMADecompressor),
    b"\x28\xb5\x2f\xfd": ("zstd", zstd.ZstdDecompressor),
}
_NO_LOGS: Final = {
    b"PK\x03\x04": "a zip archive: unpack it, and name the log in it",
    b"PK\x05\x06": "a zip archive: unpack it, and name the log in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it, and name the log in it",
    b"Rar!": "a rar archive: unpack it, and name the log in it",
    b"PAR1": "a Parquet file in a pipe or packed: name the file itself",
    b"\x04\x22\x4d\x18": "compressed with lz4, which is not supported: unpack it first",
    b"LPKSHHRH": "a binary journal: write it as text first, with journalctl -o cat",
    b"SQLite format 3": "a database, not an access log",
}
_MARKS: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def blocks(name: str, file: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
    r"""Yield a log's lines in blocks of whole lines that end in `\n`; the last may lack it.

    What is odd about the bytes is added to `remarks`.

    Raises:
        LogError: it cannot be read to its end, or is no text.
    """
    parts = _read(name, file)
    for _ in range(_NESTED):
        first, parts = _peeked(parts)
        kind = next((kind for mark, kind in _PACKED.items() if first.startswith(mark)), None)
        if kind is None:
            break
        parts = _unpacked(name, kind[0], kind[1], parts, remarks)
    yield from _whole_lines(name, _text(name, parts, remarks))


def _read(name: str, file: IO[bytes]) -> Iterator[bytes]:
    try:
        while part := file.read(BLOCK):
            yield part
    except OSError as error:
        raise LogError(f"{name}: the access log cannot be read ({error.strerror or error})") from error


def _peeked(parts: Iterator[bytes], wanted: int = 4096) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, and all of them again: a pipe gives few at a time, and none twice."""
    first = b""
    while len(first) < wanted and (part := next(parts, None)) is not None:
        first += part
    return first, _joined(first, parts)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _unpacked(
    name: str, kind: str, opener: Callable[[], Any], parts: Iterator[bytes], remarks: list[str]
) -> Iterator[bytes]:
    """Unpack members one after the other, as the tools of each kind do."""
    unpacker, began = opener(), False
    mark = next(mark for mark, known in _PACKED.items() if known[0] == kind)
    for part in parts:
        data = part
        while data:
            if unpacker.eof:
                data = data.lstrip(b"\x00")  # padding, as tapes and some copies leave it
                if not data:
                    break
                if not (data.startswith(mark) or mark.startswith(data[: len(mark)])):
                    remarks.append(f"what follows the end of the {kind} data is no {kind} data: not read")
                    return
                unpacker, began = opener(), False
            try:
                text = unpacker.decompress(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
                raise LogError(
                    f"{name}: the {kind} data is damaged ({error}); get an undamaged copy, or unpack what "
                    "can be unpacked and name that"
                ) from error
            began = True
            data = unpacker.unused_data if unpacker.eof else b""
            if text:
                yield text
    if began and not unpacker.eof:
        raise LogError(
            f"{name}: the {kind} data ends in the middle: the file is cut off, or is still being written; "
            "get a complete copy, or unpack what is there and use that"
        )


def _text(name: str, parts: Iterator[bytes], remarks: list[str]) -> Iterator[bytes]:
    """Yield the text in bytes that are ASCII's where the text is; UTF-16 becomes UTF-8."""
    first, parts = _peeked(parts)
    for mark, what in _NO_LOGS.items():
        if first.startswith(mark):
            raise LogError(f"{name}: is {what}")
    if first[257:262] == b"ustar":
        raise LogError(f"{name}: is a tar archive: unpack it, and name the log in it")
    coding = next((coding for mark, coding in _MARKS.items() if first.startswith(mark)), _guessed(first))
    if coding.startswith("utf-16"):
        remarks.append(f"it is in {coding.upper()}")
        decoder = codecs.getincrementaldecoder(coding)("replace")
        parts = (decoder.decode(part).encode("utf-8", "surrogatepass") for part in parts)
    for number, part in enumerate(parts):
        yield part.removeprefix(codecs.BOM_UTF8) if number == 0 else part


def _guessed(first: bytes) -> str:
    """Tell UTF-16 without a mark by the zeros in every other byte; zeros alone are no text."""
    even, odd = first[::2], first[1::2]
    for coding, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(first) > 8 and zeros.count(0) > 0.9 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return coding
    return "utf-8"


def _whole_lines(name: str, parts: Iterator[bytes]) -> Iterator[bytes]:
    r"""Cut at the ends of lines: `\n`, or `\r` in a file whose first lines end with nothing else."""
    rest, old = b"", None
    for part in parts:
        if old is None and (b"\n" in part or b"\r" in part[:-1]):
            old = b"\n" not in part
        data = rest + (part.replace(b"\r", b"\n") if old else part)
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if cut:
            yield data[:cut]
        elif len(rest) > _LONGEST_LINE:
            raise LogError(
                f"{name}: has a line of more than {_LONGEST_LINE >> 20} MiB: this is not an access log"
            )
    if rest:
        yield rest
