"""Makes tests/samples: small files of the kinds whose compressed parts are undone. Run once, by hand; needs Pillow.

The results are committed: other versions of zlib or libjpeg would make others.
"""

import base64, gzip, hashlib, io, pathlib, tarfile, zipfile, zlib

from PIL import Image

root = pathlib.Path(__file__).parent
samples = root / "samples"
samples.mkdir(exist_ok=True)
texts = root.parent / "corpora/samples"
prose, table, code = ((texts / name).read_bytes() for name in ("prose.txt", "table.csv", "code.rs"))


def pixels(width, height):
    noise = 12345
    for y in range(height):
        for x in range(width):
            noise = (noise * 1103515245 + 12345) & 0x7FFFFFFF
            n = noise >> 27
            yield ((x * 2 + n) % 256, (y * 3 + (x * y >> 6)) % 256, 128 + (x - y) % 64 + n // 2)


image = Image.new("RGB", (96, 64))
image.putdata(list(pixels(96, 64)))


def save(**options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


png = save(format="PNG")
jpeg = save(format="JPEG", quality=85)
gif = save(format="GIF")
progressive = save(format="JPEG", quality=70, progressive=True)


def zipped(*members, level):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members:
            kind = zipfile.ZIP_STORED if name.endswith((".png", ".jpg")) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 29, 0, 0, 0)), data, kind, level)
    return out.getvalue()


document = zipped(("document.xml", b"<p>" + prose + b"</p>"), ("image.png", png), level=6)
archive = zipped(("document.zip", document), ("table.csv", table), ("photo.jpg", jpeg), level=9)


def wheel():
    code = [("package/%s.py" % name, b"%s = %d\n" % (name.encode(), 1 << i)) for i, name in enumerate(["__init__", "read", "write"])]
    members = code + [("package/LICENSE", prose[:400]), ("package-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")]
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    lines = ["%s,sha256=%s,%d\n" % (name, digest(data), len(data)) for name, data in members]
    record = ("package-1.0.dist-info/RECORD", "".join(lines + ["package-1.0.dist-info/RECORD,,\n"]).encode())
    return zipped(*members, record, level=6)


def letter():
    """A PDF document with a table of its objects."""
    bodies = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>"]
    bodies += [b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R >>" % contents for contents in (5, 6)]
    for page in (prose[:700], prose[700:1100]):
        body = zlib.compress(b"BT /F1 12 Tf 72 720 Td (" + page + b") Tj ET", 6)
        bodies.append(b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(body), body))
    out, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(bodies, 1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = len(bodies) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return out + b"xref\n0 %d\n" % size + table + trailer


def pdf():
    body = zlib.compress(b"BT /F1 12 Tf 72 720 Td (" + prose[:3000] + b") Tj ET", 9)
    return b"%%PDF-1.4\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n" % (len(body), body)


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


gz = gzip.compress(tar(("prose.txt", prose), ("code.rs", code)), 6, mtime=0)
mixed = tar(("prose.txt", prose), ("image.png", png), ("table.csv", table), ("noise.bin", zlib.compress(code * 3, 1)[::-1]))

for name, data in {
    "archive.zip": archive, "image.png": png, "photo.jpg": jpeg, "progressive.jpg": progressive,
    "page.pdf": pdf(), "letter.pdf": letter(), "package.whl": wheel(), "image.gif": gif, "sources.tgz": gz, "mixed.tar": mixed,
}.items():
    (samples / name).write_bytes(data)
