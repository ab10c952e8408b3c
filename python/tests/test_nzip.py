"""Tests of the installed wheel."""

import pytest

import nzip

TEXT = b"a tale of a tub, told to tailors. " * 200


@pytest.mark.parametrize("level", [1, 2, 6])
def test_there_and_back(level):
    archive = nzip.compress(TEXT, level=level)
    assert len(archive) < len(TEXT) // 10
    assert nzip.decompress(archive) == TEXT
    assert nzip.decompress(archive * 2) == TEXT * 2
    assert nzip.compress(TEXT, level=level, threads=2) == archive


def test_empty():
    assert nzip.decompress(nzip.compress(b"", level=1)) == b""


def test_bad_archives():
    archive = nzip.compress(TEXT, level=1)
    for bad in [b"", b"PK not ours", archive[:-1], archive[:40] + b"\0" + archive[41:]]:
        with pytest.raises(nzip.NzipError):
            nzip.decompress(bad)
    with pytest.raises(nzip.NzipError, match="limit"):
        nzip.decompress(archive, max_output=len(TEXT) - 1)
    with pytest.raises(ValueError, match="level 10"):
        nzip.compress(TEXT, level=10)


def test_files(tmp_path):
    path = tmp_path / "text.nz"
    with nzip.open(path, "wb", level=1) as file:
        for start in range(0, len(TEXT), 100):
            file.write(TEXT[start : start + 100])
    assert nzip.decompress(path.read_bytes()) == TEXT
    with nzip.open(path) as file:
        assert file.read(10) == TEXT[:10]
        assert file.read() == TEXT[10:]
    with pytest.raises(FileExistsError):
        nzip.open(path, "x")
    with pytest.raises(FileNotFoundError):
        nzip.open(tmp_path / "missing")
    with pytest.raises(ValueError):
        nzip.open(path, "a")


def test_text(tmp_path):
    path = tmp_path / "lines.nz"
    with nzip.open(path, "wt", level=1, encoding="utf-8") as file:
        file.write("größe\nzwei\n")
    with nzip.open(path, "rt", encoding="utf-8") as file:
        assert list(file) == ["größe\n", "zwei\n"]


def test_truncated_file(tmp_path):
    path = tmp_path / "short.nz"
    path.write_bytes(nzip.compress(TEXT, level=1)[:-5])
    with pytest.raises(nzip.NzipError), nzip.open(path) as file:
        file.read()
