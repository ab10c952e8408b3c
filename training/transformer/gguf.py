"""GGUF files: the metadata and tensors of a model, written with matrices as Q8_0 and read back as float32.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""
import struct
import numpy as np

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", U32: "<I", 5: "<i", F32: "<f", BOOL: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TENSOR_F32, TENSOR_F16, TENSOR_Q8_0 = 0, 1, 8
Q8_0 = np.dtype([("scale", "<f2"), ("quants", "i1", 32)])
ALIGNMENT = 32


def quantise(x):
    """Blocks of 32 of one binary16 scale; halves round away from zero, as src/transformer's loaders do."""
    blocks = x.astype(np.float32).reshape(-1, 32)
    packed = np.zeros(len(blocks), Q8_0)
    packed["scale"] = np.abs(blocks).max(1) / np.float32(127)
    scale = packed["scale"].astype(np.float32)[:, None]
    ratio = np.divide(blocks, scale, out=np.zeros_like(blocks), where=scale > 0)
    packed["quants"] = np.clip(np.trunc(ratio + np.copysign(np.float32(0.5), ratio)), -127, 127)
    return packed


def dequantise(packed):
    return packed["quants"].astype(np.float32) * packed["scale"].astype(np.float32)[:, None]


def string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(v):
    """A metadata value with its type in front."""
    if isinstance(v, bool):
        return struct.pack("<I?", BOOL, v)
    if isinstance(v, int):
        return struct.pack("<II", U32, v)
    if isinstance(v, float):
        return struct.pack("<If", F32, v)
    if isinstance(v, str):
        return struct.pack("<I", STRING) + string(v)
    items = [value(item) for item in v]
    return struct.pack("<I", ARRAY) + items[0][:4] + struct.pack("<Q", len(v)) + b"".join(item[4:] for item in items)


def write(path, metadata, tensors):
    """`tensors`: float arrays by name; matrices become Q8_0, vectors stay float32."""
    data, infos = bytearray(), bytearray()
    for name, x in tensors.items():
        kind = TENSOR_Q8_0 if x.ndim == 2 else TENSOR_F32
        infos += string(name) + struct.pack("<I", x.ndim) + struct.pack(f"<{x.ndim}Q", *reversed(x.shape))
        infos += struct.pack("<IQ", kind, len(data))
        data += (quantise(x) if x.ndim == 2 else x.astype("<f4")).tobytes()
        data += bytes(-len(data) % ALIGNMENT)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(string(key) + value(v) for key, v in metadata.items()) + infos
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)


class Reader:
    def __init__(self, path):
        self.bytes, self.at = open(path, "rb").read(), 0
        magic, _, tensors, entries = struct.unpack("<4sIQQ", self.take(24))
        assert magic == b"GGUF", f"{path} is no GGUF file"
        self.metadata = {}
        for _ in range(entries):
            key = self.string()
            self.metadata[key] = self.value(self.scalar("<I"))
        infos = [self.info() for _ in range(tensors)]
        start = self.at + -self.at % self.metadata.get("general.alignment", ALIGNMENT)
        self.places = {name: (kind, start + offset, int(np.prod(shape))) for name, shape, kind, offset in infos}
        self.tensors = {name: self.tensor(shape, kind, start + offset) for name, shape, kind, offset in infos}

    def take(self, n):
        self.at += n
        return self.bytes[self.at - n : self.at]

    def scalar(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self):
        return self.take(self.scalar("<Q")).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            item, n = self.scalar("<I"), self.scalar("<Q")
            return [self.value(item) for _ in range(n)]
        return self.scalar(SCALARS[kind])

    def info(self):
        name, dimensions = self.string(), self.scalar("<I")
        shape = [self.scalar("<Q") for _ in range(dimensions)][::-1]
        return name, shape, self.scalar("<I"), self.scalar("<Q")

    def tensor(self, shape, kind, at):
        count = int(np.prod(shape))
        if kind == TENSOR_Q8_0:
            flat = dequantise(np.frombuffer(self.bytes, Q8_0, count // 32, at))
        else:
            form = {TENSOR_F32: "<f4", TENSOR_F16: "<f2"}[kind]
            flat = np.frombuffer(self.bytes, form, count, at).astype(np.float32)
        return flat.reshape(shape)
