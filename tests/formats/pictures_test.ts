/** Picture files of every kind that is read, and odd ones, against the pixels that Pillow reads. */

import assert from "node:assert/strict";
import { sha256 } from "../../lib/base/hash.ts";
import { decodeImage, probeImage, toRgb } from "../../lib/formats/image/decode.ts";
import { FormatError } from "../../lib/base/errors.ts";
import { assertFormatError } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import pictures from "./picture_fixtures.json" with { type: "json" };

const files = new Map(
  Object.entries(pictures).map(([name, { file, pixels }]) => [
    name,
    { bytes: Uint8Array.fromBase64(file), pixels },
  ]),
);
const bytesOf = (name: string) => files.get(name)!.bytes;

/** What Pillow reads and this program does not, and what its error must say. */
const NOT_READ = new Map([
  ["float.tif", /32 bits .*sample format 3.*not read; convert it/],
  ["group4.tif", /compressed by CCITT Group 4, which is not read; convert it/],
  ["jpeg-cmyk.tif", /of 4 samples .*which is not read; convert it/],
  ["rgb.avif", /is an AVIF file, which is not read/],
  ["rgb.jp2", /is a JPEG 2000 file, which is not read/],
]);

/** Whose oddities people are told, by words of them; all others have none. */
const ODD: readonly (readonly [RegExp, RegExp])[] = [
  [/^(restart-|between|version|early-end).*jpg$/, /^damage that libjpeg passes over/],
  [/^(cmyk|ycck)\.(jpg|tif)$/, /^CMYK/],
  [/^orientation\.(jpg|webp)$/, /EXIF orientation, which is not applied/],
  [/^orientation-\d\.tif$/, /an orientation in TIFF, which is applied/],
  [/^animation/, /several frames, of which the first is taken/],
  [/^(l16|p5-16|p5-1000)/, /over 255 become white/],
  [/^(rgb16|rgba16|la16)\.(png|tif)$/, /16 bits per channel, of which the high/],
  [/^checksum-IDAT/, /^a wrong checksum in its chunk IDAT$/],
  [/^checksum-IEND/, /^a wrong checksum in its chunk IEND$/],
  [/^text-behind/, /^a wrong checksum in its chunk tEXt$/],
  [/^cut-\d+\.png/, /^a cut end, behind the last pixel$/],
  [/^palette-/, /not in its palette, which become black/],
  [/^extension/, /unknown PNG extension "ABCD"/],
];

Deno.test("picture files are decoded to Pillow's pixels, or refused where Pillow refuses them", async () => {
  assert.ok(files.size > 130);
  for (const [name, { bytes, pixels }] of files) {
    const read = async () => {
      const probed = probeImage(bytes, name);
      const image = await decodeImage(bytes, name);
      const { width, height, channels } = probed;
      assert.deepEqual(
        [image.width, image.height, image.channels],
        [width, height, channels],
        name,
      );
      const found = [...(probed.oddities ?? []), ...(image.oddities ?? [])];
      const expected = ODD.find(([pattern]) => pattern.test(name))?.[1];
      assert.equal(found.length, expected ? 1 : 0, `${name}: ${found}`);
      if (expected) assert.match(found[0], expected, name);
      return sha256(toRgb(image).data);
    };
    if (pixels === null) await assertFormatError(read, new RegExp(`^${name} `));
    else if (NOT_READ.has(name)) await assertFormatError(read, NOT_READ.get(name)!);
    else assert.equal(await read(), pixels, name);
  }
});

Deno.test("other files that are given as pictures are named for what they are", async () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const refuses = (bytes: Uint8Array, pattern: RegExp) =>
    assertFormatError(() => decodeImage(bytes, "a.png"), pattern, /^a\.png /);
  await refuses(text("<!DOCTYPE html><html>"), /is a web page; expected a picture: PNG, JPEG/);
  await refuses(text("<svg xmlns='a'/>"), /is an SVG or XML file, which is not read/);
  await refuses(text("version https://git-lfs.github.com/spec/v1\noid"), /pointer of git-lfs/);
  await refuses(text("\0\0\0\x20ftypheic"), /is a HEIF file, which is not read/);
  await refuses(Uint8Array.of(0xFF, 0x0A, 1), /is a JPEG XL file, which is not read/);
});

Deno.test("a header that declares more pixels than the file can hold takes no memory for them", async () => {
  // 13,000 x 13,000 of RGB are within the limit, and would be half a gigabyte.
  const bomb = bytesOf("rgb.png").slice();
  new DataView(bomb.buffer).setUint32(16, 13_000);
  new DataView(bomb.buffer).setUint32(20, 13_000);
  const before = Deno.memoryUsage();
  await assertFormatError(
    () => decodeImage(withChecksum(bomb), "bomb.png"),
    /bomb\.png is corrupt: .* do not decompress to the expected 507013000 bytes/,
  );
  const after = Deno.memoryUsage();
  assert.ok(after.external - before.external < 2 ** 27);
  assert.match(probeImage(withChecksum(bomb), "a").oddities![0], /more than 89478485 pixels/);
});

/** With the checksum of the header put right. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  let crc = 0xFFFFFFFF;
  for (const byte of bytes.subarray(12, 29)) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc >>> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  new DataView(bytes.buffer).setUint32(29, ~crc >>> 0);
  return bytes;
}

Deno.test("no mutation of a picture of any kind brings out anything but a FormatError", async () => {
  const names = [
    ...["restarts.jpg", "cmyk.jpg", "lossy-alpha.webp", "animation.webp", "interlaced.gif"],
    ...["within.gif", "p4.bmp", "565.bmp", "rle4.bmp", "p3.ppm", "one.pbm", "tiles.tif"],
    ...[
      "tiff_lzw.tif",
      "packbits.tif",
      "tiff_adobe_deflate.tif",
      "p.tif",
      "rgba16.png",
      "jpeg-strips.tif",
    ],
  ];
  for (const name of names) {
    await fuzz(bytesOf(name), name, 60, async (bytes) => {
      try {
        probeImage(bytes, name);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
      await decodeImage(bytes, name);
    });
  }
});
