import assert from "node:assert/strict";
import { crc32, deflateSync, gunzipSync } from "node:zlib";
import { decodeImage, probeImage, toRgb } from "../../lib/formats/image/decode.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { assertFormatError, patched } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./fixtures.ts";

const pixels = (gzipped: Uint8Array) => new Uint8Array(gunzipSync(gzipped));

const PICTURES = [
  ["pngRgb", 13, 7, 3],
  ["pngRgba", 13, 7, 4],
  ["pngGrey", 13, 7, 1],
  ["pngGreyAlpha", 13, 7, 2],
  ["pngPalette4", 13, 7, 3],
  ["pngBlackWhite", 13, 7, 1],
  ["pngInterlaced", 13, 7, 3],
  ["jpegColour", 21, 18, 3],
  ["jpegProgressive", 21, 18, 3],
  ["jpegGrey", 21, 18, 1],
] as const;

for (const [key, width, height, channels] of PICTURES) {
  Deno.test(`${key}: the pixels are those that PIL reads, to the last bit`, async () => {
    const image = await decodeImage(fixtures[key], key);
    assert.deepEqual([image.width, image.height, image.channels], [width, height, channels]);
    assert.deepEqual(image.data, pixels(fixtures[`${key}Pixels`]));
    assert.deepEqual(probeImage(fixtures[key], key), { width, height, channels });
  });
}

Deno.test("what encodePng writes is read back, for one to four channels", async () => {
  for (const channels of [1, 2, 3, 4]) {
    for (const [width, height] of [[1, 1], [7, 5], [300, 2]]) {
      const data = new Uint8Array(width * height * channels);
      for (let i = 0; i < data.length; i++) data[i] = (i * i * 31) >> 3;
      const file = encodePng({ width, height, channels, data });
      assert.deepEqual(file, encodePng({ width, height, channels, data }));
      const image = await decodeImage(file, "own.png");
      assert.deepEqual(image, { width, height, channels, data });
    }
  }
  const short = { width: 2, height: 2, channels: 3, data: new Uint8Array(4) };
  await assertFormatError(() => encodePng(short), /2 x 2 x 3 values, but was given 4/);
});

Deno.test("smooth pictures become small files", () => {
  const data = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i & 63) * 2 + (i >> 6));
  assert(encodePng({ width: 64, height: 64, channels: 1, data }).length < 300);
});

Deno.test("toRgb repeats grey and drops transparency", () => {
  const shape = { width: 2, height: 1 };
  const of = (
    channels: number,
    ...data: number[]
  ) => [...toRgb({ ...shape, channels, data: Uint8Array.from(data) }).data];
  assert.deepEqual(of(1, 5, 6), [5, 5, 5, 6, 6, 6]);
  assert.deepEqual(of(2, 5, 0, 6, 255), [5, 5, 5, 6, 6, 6]);
  assert.deepEqual(of(4, 1, 2, 3, 9, 4, 5, 6, 9), [1, 2, 3, 4, 5, 6]);
});

/** A PNG header chunk with correct checksum. */
function withHeader(file: Uint8Array, edit: (fields: DataView) => void): Uint8Array {
  const copy = file.slice();
  const fields = new DataView(copy.buffer);
  edit(fields);
  fields.setUint32(29, crc32(copy.subarray(12, 29)));
  return copy;
}

Deno.test("damaged and hostile PNG files are refused with a sentence", async () => {
  const file = fixtures.pngRgb;
  const refuses = (bytes: Uint8Array, pattern: RegExp) =>
    assertFormatError(() => decodeImage(bytes, "a.png"), pattern, /^a\.png /);
  await refuses(new Uint8Array(), /is empty/);
  await refuses(new Uint8Array(50), /is no picture of a kind that is known/);
  await refuses(file.subarray(0, 20), /header is missing/);
  await refuses(fixtures.pngPalette4.subarray(0, 40), /ends within a chunk at byte 33/);
  await refuses(file.subarray(0, file.length - 40), /do not decompress to the expected 280 bytes/);
  await refuses(patched(file, 20, 9), /checksum of its header/);
  await refuses(patched(file, 50, file[50] ^ 1), /do not decompress to the expected 280 bytes/);
  await refuses(withHeader(file, (f) => f.setUint32(16, 0)), /at least one/);
  await refuses(withHeader(file, (f) => f.setUint32(16, 2 ** 31)), /at most 178956970 pixels/);
  await refuses(withHeader(file, (f) => f.setUint32(20, 8)), /expected 320 bytes but to 280/);
  await refuses(withHeader(file, (f) => f.setUint8(25, 5)), /no colour type 5/);
  await refuses(withHeader(file, (f) => f.setUint8(28, 2)), /methods that do not exist/);
});

Deno.test("a PNG that would decompress to gigabytes is stopped early", async () => {
  const bomb = new Uint8Array(deflateSync(new Uint8Array(50_000_000)));
  const content = new Uint8Array(12 + bomb.length);
  const fields = new DataView(content.buffer);
  fields.setUint32(0, bomb.length);
  content.set(new TextEncoder().encode("IDAT"), 4);
  content.set(bomb, 8);
  fields.setUint32(8 + bomb.length, crc32(content.subarray(4, 8 + bomb.length)));
  const file = fixtures.pngRgb;
  const bytes = Uint8Array.from([...file.subarray(0, 33), ...content, ...file.subarray(-12)]);
  await assertFormatError(
    () => decodeImage(bytes, "bomb.png"),
    /bomb\.png is corrupt: its pixels do not decompress to the expected 280 bytes\./,
  );
});

Deno.test("damaged and unsupported JPEG files are refused with a sentence", async () => {
  const file = fixtures.jpegColour;
  const refuses = (bytes: Uint8Array, pattern: RegExp) =>
    assertFormatError(() => decodeImage(bytes, "a.jpg"), pattern, /^a\.jpg /);
  await refuses(file.subarray(0, 10), /no frame header/);
  await refuses(file.subarray(0, file.length - 20), /truncated JPEG file: it has no end marker/);
  const end = [0xFF, 0xD9]; // a table is missing
  await refuses(Uint8Array.from([...file.subarray(0, 170), ...end]), /truncated or corrupt JPEG/);
  const at = file.findIndex((byte, i) => byte === 0xFF && file[i + 1] === 0xC0);
  await refuses(patched(file, at + 9, 2), /2 color channels of 8 bits; expected 1 \(grey\)/);
  await refuses(patched(file, at + 4, 12), /3 color channels of 12 bits/);
  // After failures the decoder still works.
  assert.deepEqual((await decodeImage(file, "a.jpg")).data, pixels(fixtures.jpegColourPixels));
});

Deno.test("no mutation of a picture brings out anything but a FormatError", async () => {
  const name = "fuzz.png";
  for (const key of ["pngRgb", "pngPalette4", "pngInterlaced"] as const) {
    await fuzz(fixtures[key], name, 200, (bytes) => decodeImage(bytes, name));
    // Again with correct checksums, so that what lies behind them is reached.
    await fuzz(fixtures[key], name, 200, (bytes) => decodeImage(withChecksums(bytes), name));
  }
  await fuzz(fixtures.jpegColour, name, 200, (bytes) => probeImage(bytes, name));
  await fuzz(fixtures.jpegColour, name, 100, (bytes) => decodeImage(bytes, name));
});

/** Repairs the checksum of every chunk that can be found. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const fields = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length;) {
    const end = at + 12 + fields.getUint32(at);
    if (end > copy.length) break;
    fields.setUint32(end - 4, crc32(copy.subarray(at + 4, end - 4)));
    at = end;
  }
  return copy;
}
