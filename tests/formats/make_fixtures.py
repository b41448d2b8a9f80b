"""Writes fixtures.ts: small files made by numpy and PIL, with the pixels that PIL reads from them.

Run with numpy 2.4, pillow 13: python3 tests/format/make_fixtures.py > tests/format/fixtures.ts
"""

import base64, gzip, io, struct, zlib
import numpy as np
import PIL
from PIL import Image

fixtures = {}


def npy(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def idx(code, array):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def saved(save, *args, **kwargs):
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


cube = np.arange(24, dtype=np.float64).reshape(2, 3, 4) / 4
fixtures["npyBigEndianFortranV2"] = npy(np.asfortranarray(cube.astype(">f8")), (2, 0))
fixtures["npyHalfV3"] = npy(np.array([1.5, -2, np.inf], dtype="<f2"), (3, 0))
fixtures["npyBoolScalar"] = npy(np.array(True))
fixtures["npyInt64"] = npy(np.array([[-1, 2**53]], dtype="<i8"))
fixtures["npyRecords"] = npy(np.zeros(2, dtype=[("a", "<f4")]))
fixtures["npyComplex"] = npy(np.zeros(2, dtype="<c8"))
square = np.asfortranarray(np.arange(4, dtype="<f4").reshape(2, 2))
fixtures["npzStored"] = saved(np.savez, mu=np.arange(3.0), sigma=square)
images = np.zeros((2, 4, 4, 3), "u1") + np.arange(3, dtype="u1")
images[1] += 100
fixtures["npzDeflated"] = saved(np.savez_compressed, images, np.array([5, 7]))
fixtures["idxInt16"] = idx(0x0B, np.array([[1, -2, 300]], dtype=">i2"))
fixtures["idxFloatGzip"] = gzip.compress(idx(0x0D, np.array([1.5, -0.25], dtype=">f4")), mtime=0)


def picture(width, height):
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(x / (2 + k)) * np.cos(y / (3 + k)) for k in range(4)]
    return np.stack(waves, -1).astype("u1")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def adam7(array):
    """An interlaced PNG, which PIL reads but does not write."""
    height, width, channels = array.shape
    rows = b""
    for x, y, dx, dy in [(0,0,8,8),(4,0,8,8),(0,4,4,8),(2,0,4,4),(0,2,2,4),(1,0,2,2),(0,1,1,2)]:
        part = array[y::dy, x::dx]
        if part.size:
            for row in part:
                rows += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def add_picture(name, file, mode):
    pixels = np.asarray(Image.open(io.BytesIO(file)).convert(mode))
    fixtures[name] = file
    fixtures[name + "Pixels"] = gzip.compress(pixels.tobytes(), mtime=0)


p = picture(13, 7)
rgb, grey = Image.fromarray(p[..., :3].copy()), Image.fromarray(p[..., 0].copy())
add_picture("pngRgb", saved(rgb.save, "png"), "RGB")
add_picture("pngRgba", saved(Image.fromarray(p).save, "png"), "RGBA")
add_picture("pngGrey", saved(grey.save, "png"), "L")
add_picture("pngGreyAlpha", saved(Image.fromarray(p).convert("LA").save, "png"), "LA")
add_picture("pngPalette4", saved(rgb.quantize(13).save, "png", bits=4), "RGB")
add_picture("pngBlackWhite", saved(grey.convert("1").save, "png"), "L")
add_picture("pngInterlaced", adam7(p[..., :3]), "RGB")
q = picture(21, 18)
colour = Image.fromarray(q[..., :3].copy())
add_picture("jpegColour", saved(colour.save, "jpeg", quality=85), "RGB")  # 4:2:0
add_picture("jpegProgressive", saved(colour.save, "jpeg", quality=85, progressive=True, subsampling=0), "RGB")
add_picture("jpegGrey", saved(Image.fromarray(q[..., 0].copy()).save, "jpeg", quality=85), "L")

print("// Made by make_fixtures.py (numpy %s, pillow %s); do not edit.\n" % (np.__version__, PIL.__version__))
print("const base64 = {")
for name, content in fixtures.items():
    text = base64.b64encode(content).decode()
    lines = [text[i:i + 94] for i in range(0, len(text), 94)]
    print(f"  {name}:\n    " + " +\n    ".join(f'"{line}"' for line in lines) + ",")
print("};\n")
print("/** Files made by numpy and PIL; `...Pixels` is what PIL reads from the picture, gzipped. */")
print("export const fixtures = Object.fromEntries(")
print("  Object.entries(base64).map(([name, text]) => [name, Uint8Array.fromBase64(text)]),")
print(") as Record<keyof typeof base64, Uint8Array>;")
