"""Writes picture_fixtures.json: small picture files of every kind that is read, and odd ones, made by
Pillow and by hand, with the SHA-256 of the RGB pixels that Pillow reads from them, or null where it
refuses them.

Run with numpy 2.4, pillow 13: python3 tests/format/make_picture_fixtures.py > tests/format/picture_fixtures.json
"""

import base64
import hashlib
import io
import json
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
W, H = 21, 18
files = {}


def put(name, content):
    files[name] = bytes(content)


def save(name, image, **options):
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF", "pbm": "PPM", "ppm": "PPM", "jp2": "JPEG2000"}.get(name[-3:], name.split(".")[-1])
    image.save(file, kind, **options)
    files[name] = file.getvalue()


def chunk(kind, content, bad=False):
    checksum = zlib.crc32(kind + content) ^ int(bad)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(depth, kind, raw, palette=None, bad=(), extra=b"", end=True, width=W, height=H, compressed=None):
    """A PNG file with two chunks of pixels; those named in `bad` have wrong checksums."""
    out = b"\x89PNG\r\n\x1a\n"
    out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0), "IHDR" in bad) + extra
    if palette is not None:
        out += chunk(b"PLTE", palette, "PLTE" in bad)
    pixels = zlib.compress(raw) if compressed is None else compressed
    half = len(pixels) // 2
    out += chunk(b"IDAT", pixels[:half], "IDAT" in bad) + chunk(b"IDAT", pixels[half:], "IDAT2" in bad)
    return out + (chunk(b"IEND", b"", "IEND" in bad) if end else b"")


def rows(array):
    return b"".join(b"\0" + row.tobytes() for row in array)


def packed(values, bits):
    text = ["".join(format(int(value), f"0{bits}b") for value in row) for row in values]
    text = [row + "0" * (-len(row) % 8) for row in text]
    return np.array([[int(row[i : i + 8], 2) for i in range(0, len(row), 8)] for row in text], dtype=np.uint8)


y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([128 + 100 * np.sin(x / (2 + k)) * np.cos(y / (3 + k)) for k in range(3)], -1).astype(np.uint8)
alpha = ((x * 11 + y * 5) % 256).astype(np.uint8)
RGB = Image.fromarray(rgb)
L = RGB.convert("L")
RGBA = Image.fromarray(np.dstack([rgb, alpha]))
CMYK = Image.merge("CMYK", [*RGB.split(), L])
P = RGB.quantize(64)
LA = Image.merge("LA", [L, Image.fromarray(alpha)])
ONE = RGB.convert("1")

# JPEG: colors, and what libjpeg only warns of.
for subsampling in (0, 1, 2):
    save(f"ss{subsampling}.jpg", RGB, subsampling=subsampling, quality=80)
save("grey.jpg", L)
save("progressive.jpg", RGB, progressive=True)
save("rgb-space.jpg", RGB, keep_rgb=True)
save("cmyk.jpg", CMYK, quality=90)
cmyk = bytearray(files["cmyk.jpg"])
at = cmyk.find(b"Adobe")
cmyk[at + 11] = 2
put("ycck.jpg", cmyk)
exif = Image.Exif()
exif[0x112] = 6
save("orientation.jpg", RGB, exif=exif)
save("restarts.jpg", RGB, subsampling=2, restart_marker_blocks=1)
restarts = bytearray(files["restarts.jpg"])
marks = [i for i in range(len(restarts) - 1) if restarts[i] == 255 and 0xD0 <= restarts[i + 1] <= 0xD7]
wrong = bytearray(restarts)
wrong[marks[1] + 1] = 0xD5
put("restart-wrong.jpg", wrong)
missing = bytearray(restarts)
del missing[marks[1] : marks[1] + 2]
put("restart-missing.jpg", missing)
plain = bytearray(files["ss0.jpg"])
stray = bytearray(plain)
stray[len(stray) - 100 : len(stray) - 100] = b"\xff\xd3"
put("restart-stray.jpg", stray)
version = bytearray(plain)
version[version.find(b"JFIF") + 5] = 9
put("version.jpg", version)
between = bytearray(plain)
at = between.find(b"\xff\xdb")
between[at:at] = b"\x00\x11\x22"
put("between.jpg", between)
put("early-end.jpg", plain[:-100] + b"\xff\xd9")
put("trailing.jpg", plain + b"junk" * 20)
put("no-end.jpg", plain[:-2])
put("cut.jpg", plain[:-100])
put("progressive-cut.jpg", files["progressive.jpg"][:-60])

# PNG: depths, palettes, and damage that does and does not reach the pixels.
for name, image in dict(rgb=RGB, l=L, rgba=RGBA, la=LA, p=P, one=ONE).items():
    save(f"{name}.png", image)
for bits in (1, 2, 4):
    save(f"p{bits}.png", RGB.quantize(2**bits))
save("transparent.png", P, transparency=3)
put("l2.png", png(2, 0, rows(packed((x + y) % 4, 2))))
put("l4.png", png(4, 0, rows(packed((x + y) % 16, 4))))
deep = (rgb.astype(np.uint16) * 257 + rng.integers(0, 200, rgb.shape)).astype(">u2")
deep_alpha = (alpha.astype(np.uint16) * 200).astype(">u2")
put("rgb16.png", png(16, 2, rows(deep)))
put("rgba16.png", png(16, 6, rows(np.dstack([deep, deep_alpha]).astype(">u2"))))
put("la16.png", png(16, 4, rows(np.dstack([deep[..., 0], deep_alpha]).astype(">u2"))))
put("l16.png", png(16, 0, rows(deep[..., 0])))
small = ((x * 13 + y * 11) % 600).astype(">u2")
put("l16-small.png", png(16, 0, rows(small)))
good = rows(rgb)
for kind in ("IHDR", "IDAT", "IDAT2", "IEND"):
    put(f"checksum-{kind}.png", png(8, 2, good, bad=(kind,)))
put("checksum-text.png", png(8, 2, good, extra=chunk(b"tEXt", b"a\0b", True)))
full = png(8, 2, good)
for count in (1, 8, 12, 14, 17):
    put(f"cut-{count}.png", full[:-count])
put("cut-200.png", full[:-200])
put("trailing.png", full + b"junk" * 5)
put("text-behind.png", full[:-12] + chunk(b"tEXt", b"a\0b", True) + chunk(b"IEND", b""))
indices = ((x + y * 3) % 32).astype(np.uint8)
palette = bytes(rng.integers(0, 256, 30, dtype=np.uint8))
put("palette-short.png", png(8, 3, rows(indices), palette))
put("palette-broken.png", png(8, 3, rows(indices), palette[:29]))
put("palette-none.png", png(8, 3, rows(indices)))
put("palette-checksum.png", png(8, 3, rows(indices), bytes(96), bad=("PLTE",)))
adler = bytearray(zlib.compress(good))
adler[-1] ^= 1
put("zlib-checksum.png", png(8, 2, b"", compressed=bytes(adler)))
put("too-much.png", png(8, 2, good + b"\0" * 500))
put("too-little.png", png(8, 2, good[:-100]))
put("filter.png", png(8, 2, b"\x07" + good[1:]))
put("extension.png", png(8, 2, good, extra=chunk(b"ABCD", b"x")))
put("bomb.png", png(1, 0, b"", width=14000, height=14000))

# WebP
for name, options in dict(lossy={}, lossless=dict(lossless=True)).items():
    save(f"{name}.webp", RGB, **options)
    save(f"{name}-alpha.webp", RGBA, **options)
animation = dict(save_all=True, append_images=[RGBA.rotate(180)], duration=10)
save("animation.webp", RGB, **animation)
save("animation-alpha.webp", RGBA, **animation, lossless=True)
save("orientation.webp", RGB, exif=exif)
put("cut.webp", files["lossy.webp"][:-1])
put("trailing.webp", files["lossy.webp"] + b"junk")

# GIF
save("p.gif", P, interlace=0)
save("interlaced.gif", P, interlace=1)
save("grey.gif", L)
save("one.gif", ONE)
save("transparent.gif", P, transparency=2)
save("animation.gif", P, save_all=True, append_images=[P.rotate(180)])
inner = bytearray(files["p.gif"])  # a frame that lies within a larger canvas, and one beyond it
inner[6:10] = struct.pack("<HH", W + 7, H + 3)
at = inner.find(b"\x2c\0\0\0\0")
inner[at + 1 : at + 5] = struct.pack("<HH", 4, 2)
put("within.gif", inner)
outer = bytearray(inner)
outer[6:10] = struct.pack("<HH", W, H)
put("beyond.gif", outer)
put("cut.gif", files["p.gif"][:-60])

# BMP
for name, image in dict(rgb=RGB, l=L, rgba=RGBA, p=P, one=ONE, p4=RGB.quantize(16)).items():
    save(f"{name}.bmp", image)


def bmp(bits, compression, pixels, palette=b"", masks=b"", height=H):
    header = struct.pack("<IiiHHIIiiII", 40, W, height, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    start = 14 + 40 + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + masks + palette + pixels


words = (x * 997 + y * 3001).astype("<u2")
lines = b"".join(row.tobytes() + b"\0" * (-2 * W % 4) for row in words)
put("555.bmp", bmp(16, 0, lines))
put("565.bmp", bmp(16, 3, lines, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
put("top-down.bmp", bmp(16, 0, lines, height=-H))
colors = bytes(rng.integers(0, 256, 64, dtype=np.uint8))
runs = b"".join(bytes([8, row % 16, 5, 3, 0, 4, 1, 2, 3, 4, 4, 7, 0, 0]) for row in range(H)) + b"\0\1"
put("rle8.bmp", bmp(8, 1, runs, colors))
runs = b"".join(bytes([9, row % 16 * 17 ^ 5, 0, 6, 0x12, 0x34, 0x56, 0, 6, 0x9A, 0, 0]) for row in range(H)) + b"\0\1"
put("rle4.bmp", bmp(4, 2, runs, colors))
put("cut.bmp", files["rgb.bmp"][:-9])

# Netpbm
save("rgb.ppm", RGB)
save("one.pbm", ONE)
size = b"%d %d" % (W, H)


def text(values):
    return " ".join(str(int(value)) for value in np.asarray(values).ravel()).encode()


put("p1.pbm", b"P1\n" + size + b"\n" + text(np.array(ONE) == 0))
put("p2.pgm", b"P2\n# a comment\n" + size + b"\n255\n" + text(L))
put("p3.ppm", b"P3 " + size + b" 100 " + text(rgb % 101))
put("p5.pgm", b"P5\n" + size + b"\n255\n" + L.tobytes())
put("p5-100.pgm", b"P5 " + size + b" 100\n" + (np.array(L) % 101).tobytes())
put("p5-1000.pgm", b"P5 " + size + b" 1000\n" + small.tobytes())
put("p5-16.pgm", b"P5 " + size + b" 65535\n" + small.tobytes())
put("p6-16.ppm", b"P6 " + size + b" 65535\n" + deep.tobytes())
put("cut.ppm", files["rgb.ppm"][:-5])

# TIFF
for name, image in dict(rgb=RGB, l=L, rgba=RGBA, p=P, one=ONE, la=LA, cmyk=CMYK).items():
    save(f"{name}.tif", image)
for method in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
    save(f"{method}.tif", RGB, compression=method)
save("predictor.tif", RGB, compression="tiff_lzw", tiffinfo={317: 2})
for orientation in range(2, 9):
    exif[0x112] = orientation
    save(f"orientation-{orientation}.tif", RGB, exif=exif)
save("l16.tif", Image.fromarray(small.astype("<u2")))
save("float.tif", Image.fromarray(rgb[..., 0].astype(np.float32)))
save("group4.tif", ONE, compression="group4")
save("jpeg.tif", RGB, compression="jpeg")
save("jpeg-strips.tif", RGB.resize((40, 40)), compression="jpeg", strip_size=40 * 3 * 16)
save("jpeg-grey.tif", L, compression="jpeg")
save("jpeg-cmyk.tif", CMYK, compression="jpeg")
put("cut.tif", files["rgb.tif"][:700])


def tiff(samples, bits, order, tags, blocks):
    """A file with its directory at the end, as many writers leave it."""
    little = order == "<"
    out = (b"II*\0" if little else b"MM\0*") + b"\0" * 4
    offsets = []
    for block in blocks:
        offsets.append(len(out))
        out += block
    tags = {256: (4, [W]), 257: (4, [H]), 258: (3, [bits] * samples), 277: (3, [samples]), **tags}
    tiled = 322 in tags
    tags[324 if tiled else 273] = (4, offsets)
    tags[325 if tiled else 279] = (4, [len(block) for block in blocks])
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            where, out = len(out), out + packed
            packed = struct.pack(order + "I", where)
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    at = len(out)
    out += struct.pack(order + "H", len(tags)) + entries + b"\0" * 4
    return out[:4] + struct.pack(order + "I", at) + out[8:]


def tiles(array, side=16):
    padded = np.pad(array, [(0, -H % side), (0, -W % side)] + [(0, 0)] * (array.ndim - 2))
    return [padded[i : i + side, j : j + side].tobytes() for i in range(0, H, side) for j in range(0, W, side)]


put("tiles.tif", tiff(3, 8, "<", {262: (3, [2]), 322: (3, [16]), 323: (3, [16])}, tiles(rgb)))
put("planes.tif", tiff(3, 8, ">", {262: (3, [2]), 284: (3, [2])}, [rgb[..., c].tobytes() for c in range(3)]))
put("rgb16.tif", tiff(3, 16, ">", {262: (3, [2])}, [deep.tobytes()]))
put("white.tif", tiff(1, 8, "<", {262: (3, [0])}, [L.tobytes()]))
put("white4.tif", tiff(1, 4, "<", {262: (3, [0])}, [packed((x + y) % 16, 4).tobytes()]))
strips = [rgb[i : i + 5].tobytes() for i in range(0, H, 5)]
put("strips.tif", tiff(3, 8, "<", {262: (3, [2]), 278: (3, [5])}, strips))
put("unused.tif", tiff(4, 8, "<", {262: (3, [2]), 338: (3, [0])}, [np.array(RGBA).tobytes()]))

# Kinds that are not read here.
save("rgb.avif", RGB)
save("rgb.jp2", RGB)

fixtures = {}
for name, content in files.items():
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        pixels = hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()
    except Exception:
        pixels = None
    fixtures[name] = {"file": base64.b64encode(content).decode(), "pixels": pixels}
print(json.dumps(fixtures, indent=2))
