"""nzip, a lossless compressor that trades speed for a high compression ratio."""

import io

from ._nzip import FORMAT_VERSION, NzipError, Reader, Writer, compress, decompress

__all__ = ["FORMAT_VERSION", "NzipError", "compress", "decompress", "open"]


class _RawReader(io.RawIOBase):
    def __init__(self, file, max_output, threads):
        self._reader = Reader(file, max_output, threads)

    def readable(self):
        return True

    def readinto(self, buffer):
        content = self._reader.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _RawWriter(io.RawIOBase):
    def __init__(self, file, replace, level, threads):
        self._writer = Writer(file, replace, level, threads)

    def writable(self):
        return True

    def write(self, content):
        content = bytes(content)
        self._writer.write(content)
        return len(content)

    def close(self):
        if not self.closed:
            try:
                self._writer.finish()
            finally:
                super().close()


def open(file, mode="rb", *, level=6, threads=0, max_output=None, encoding=None, errors=None, newline=None):
    """Open an archive file, as `gzip.open` does.

    Modes are "r", "w" and "x", with "b" (the default) or "t". An archive is complete once the file is closed. `max_output`
    limits the bytes read; `level`, 1 to 9, is for writing.
    """
    action, kind = mode[:1], mode[1:] or "b"
    if action not in ("r", "w", "x") or kind not in ("b", "t"):
        raise ValueError(f"mode {mode!r} is not r, w or x, with b or t")
    if kind == "b" and (encoding, errors, newline) != (None, None, None):
        raise ValueError("encoding, errors and newline are for text")
    if action == "r":
        binary = io.BufferedReader(_RawReader(file, max_output, threads))
    else:
        binary = io.BufferedWriter(_RawWriter(file, action == "w", level, threads))
    return binary if kind == "b" else io.TextIOWrapper(binary, encoding, errors, newline)
