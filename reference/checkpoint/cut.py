"""Cuts the corpus out of the package the novel comes in (see README.md).

    python -m reference.checkpoint.cut FOLDER        # FOLDER holds the unpacked package
"""
import gzip
import lzma
import re
import struct
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).parent


def strings(data: bytes):
    """The character vector in R's serialised form: a length, then flags, length and bytes of each string."""
    at = 14 + struct.unpack(">I", data[14:18])[0] + 4       # the header, and in it the name of the encoding
    kind, count = struct.unpack(">II", data[at:at + 8])
    assert kind == 16, "not a character vector"
    at += 8
    for _ in range(count):
        _, length = struct.unpack(">Ii", data[at:at + 8])
        at += 8
        yield data[at:at + length].decode()
        at += length


def novel(folder: Path, title: str) -> list[str]:
    """The lines of the first novel in the package's data whose text begins with `title`."""
    index = gzip.decompress(next(folder.rglob("Rdata.rdx")).read_bytes())
    data = next(folder.rglob("Rdata.rdb")).read_bytes()
    for pair in re.finditer(rb"\0\0\0\x0d\0\0\0\x02(.{8})", index, re.DOTALL):
        start, size = struct.unpack(">II", pair[1])
        found = zlib.decompress(data[start + 4:start + size])
        if title.encode() in found[:100]:
            return list(strings(found))
    raise SystemExit(f"no novel called {title!r} in {folder}")


def main(folder: str) -> None:
    text = "\n".join(novel(Path(folder), "PRIDE AND PREJUDICE"))
    chapters = text[text.index("Chapter 1\n"):text.index("Chapter 16\n")]
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", chapters) if p.strip()]
    corpus = "\n".join(paragraphs).replace("\nChapter ", "\n\nChapter ") + "\n"
    corpus = corpus.replace("_", "")        # the underscores stood for italics
    (HERE / "corpus.txt.xz").write_bytes(lzma.compress(corpus.encode(), preset=9))
    print(f"{len(corpus)} characters, {len(paragraphs)} paragraphs, {corpus.count('Chapter ')} chapters")


if __name__ == "__main__":
    main(*sys.argv[1:])
