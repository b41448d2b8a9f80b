import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { parseIdx, readIdx } from "../../lib/formats/arrays/idx.ts";
import { assertFormatError, patched } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./fixtures.ts";

const name = "train-images-idx3-ubyte";
const parse = (bytes: Uint8Array) => parseIdx(bytes, { name });

Deno.test("arrays of two and four bytes are swapped to little-endian, gzip is undone", () => {
  const integers = parse(fixtures.idxInt16);
  assert.deepEqual([integers.type, integers.shape], ["i16", [1, 3]]);
  assert.deepEqual([...new Int16Array(integers.bytes.buffer)], [1, -2, 300]);
  const floats = parse(fixtures.idxFloatGzip);
  assert.deepEqual([floats.type, floats.shape], ["f32", [2]]);
  assert.deepEqual([...new Float32Array(floats.bytes.buffer)], [1.5, -0.25]);
});

Deno.test("truncated and foreign files are refused with what was expected and found", async () => {
  const refuses = (bytes: Uint8Array, pattern: RegExp) =>
    assertFormatError(() => parse(bytes), pattern, /^train-images-idx3-ubyte /);
  const images = Uint8Array.of(
    0,
    0,
    8,
    3,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    2,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  );
  assert.deepEqual((parse(images)).shape, [2, 2, 2]);
  await refuses(
    images.subarray(0, 23),
    /truncated: 2 x 2 x 2 elements of u8 need 8 bytes, found 7/,
  );
  await refuses(Uint8Array.from([...images, 0]), /bytes after its array: .* found 9/);
  await refuses(images.subarray(0, 11), /truncated: expected 16 bytes of header, found 11/);
  await refuses(new Uint8Array(), /not an IDX file: .* found nothing/);
  await refuses(Uint8Array.of(0, 0, 7, 1), /found 00 00 07 01/);
  await refuses(Uint8Array.of(0x89, 0x50, 0x4E, 0x47), /found 89 50 4e 47/);
  await refuses(new Uint8Array(gzipSync(images)).subarray(0, 30), /cannot be decompressed/);
  const huge = Uint8Array.of(0, 0, 14, 4, ...new Uint8Array(16).fill(255));
  await refuses(huge, /truncated/);
  await assertFormatError(() => readIdx("/nowhere/t10k"), /\/nowhere\/t10k does not exist/);
});

Deno.test("no mutation of an IDX file brings out anything but a FormatError", async () => {
  await fuzz(fixtures.idxInt16, name, 300, parse);
  await fuzz(fixtures.idxFloatGzip, name, 300, parse);
});

Deno.test("a gzip file of several members, as cat makes one, is read whole, each part checked", async () => {
  const bytes = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4);
  const parts = [bytes.subarray(0, 9), bytes.subarray(9)].map((part) => [...gzipSync(part)]);
  const joined = Uint8Array.from(parts.flat());
  assert.deepEqual([...parse(joined).bytes], [1, 2, 3, 4]);
  // The checksum of a part is in the eight bytes at its end.
  for (const at of [parts[0].length - 8, joined.length - 8]) {
    await assertFormatError(
      () => parse(patched(joined, at, joined[at] ^ 1)),
      /cannot be decompressed \(incorrect data check\)/,
    );
  }
});
