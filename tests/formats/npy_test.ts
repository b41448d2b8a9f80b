import assert from "node:assert/strict";
import { npyByteLength, npyChunks, NpyReader, parseNpy } from "../../lib/formats/arrays/npy.ts";
import { bytesSource } from "../../lib/formats/source.ts";
import { assertFormatError } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./fixtures.ts";

const name = "array.npy";
const parse = (bytes: Uint8Array) => parseNpy(bytes, { name });

/** A version 1.0 file with this header. */
function fileWith(header: string, dataBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const prefix = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8];
  return Uint8Array.from([...prefix, ...text, ...new Uint8Array(dataBytes)]);
}

Deno.test("numpy's arrays are read: big-endian, Fortran order, versions 1 to 3", () => {
  const cube = parse(fixtures.npyBigEndianFortranV2);
  assert.deepEqual(cube.shape, [2, 3, 4]);
  assert.equal(cube.type, "f64");
  assert.deepEqual([...cube.toFloat64()], Array.from({ length: 24 }, (_, i) => i / 4));
  assert.deepEqual([...parse(fixtures.npyHalfV3).toFloat32()], [1.5, -2, Infinity]);
  const scalar = parse(fixtures.npyBoolScalar);
  assert.deepEqual([scalar.type, scalar.shape, [...scalar.bytes]], ["bool", [], [1]]);
  const wide = parse(fixtures.npyInt64);
  assert.deepEqual([...wide.toFloat64()], [-1, 2 ** 53]);
  assert.deepEqual(wide.shape, [1, 2]);
});

Deno.test("rows are read one by one from C order, and refused from Fortran order", async () => {
  const reader = new NpyReader(bytesSource(fixtures.npyInt64, name));
  assert.deepEqual([...reader.rows(0, 1).toFloat64()], [-1, 2 ** 53]);
  await assertFormatError(() => reader.rows(1, 1), /array\.npy has 1 entries; 1 to 1 were/);
  const fortran = new NpyReader(bytesSource(fixtures.npyBigEndianFortranV2, name));
  assert(fortran.fortranOrder);
  await assertFormatError(() => fortran.rows(0, 1), /cannot be read row by row/);
});

Deno.test("what is written is, byte for byte, what numpy writes", async () => {
  const array = { type: "i64", shape: [1, 2], data: BigInt64Array.of(-1n, 2n ** 53n) } as const;
  const pieces = await Array.fromAsync(npyChunks(array));
  const bytes = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
  assert.deepEqual(bytes, fixtures.npyInt64);
  assert.equal(npyByteLength(array), bytes.length);

  const streamed = await Array.fromAsync(npyChunks({
    ...array,
    *data() {
      yield BigInt64Array.of(-1n);
      yield BigInt64Array.of(2n ** 53n);
    },
  }));
  assert.deepEqual(
    new Uint8Array(await new Blob(streamed as BlobPart[]).arrayBuffer()),
    fixtures.npyInt64,
  );
  const scalar = { type: "bool", shape: [], data: Uint8Array.of(1) } as const;
  const scalarPieces = await Array.fromAsync(npyChunks(scalar));
  assert.deepEqual(
    new Uint8Array(await new Blob(scalarPieces as BlobPart[]).arrayBuffer()),
    fixtures.npyBoolScalar,
  );
  await assertFormatError(
    () => Array.fromAsync(npyChunks({ ...array, shape: [3] })),
    /shape \(3\) needs 24 bytes, but was given 16/,
  );
});

Deno.test("headers that Python 2 wrote are understood", () => {
  const old = fileWith("{'descr': '>i4', 'fortran_order': False, 'shape': (1L, 2L), }\n", 8);
  assert.deepEqual(parse(old).shape, [1, 2]);
});

Deno.test("what is not one plain array is refused with a sentence", async () => {
  const refuses = (bytes: Uint8Array, pattern: RegExp) =>
    assertFormatError(() => parse(bytes), pattern, /array\.npy/);
  const header = (descr: string, shape: string) =>
    `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
  await refuses(new Uint8Array(), /not an npy file/);
  await refuses(fixtures.npyInt64.subarray(0, 9), /not an npy file/);
  await refuses(fixtures.npyRecords, /structured records/);
  await refuses(fixtures.npyComplex, /type '<c8'; known are/);
  await refuses(fileWith(header("'<f4'", "(2,)"), 4), /truncated: .* needs 8 bytes, found 4/);
  await refuses(fileWith(header("'<f4'", "(2,)"), 9), /bytes after its array/);
  await refuses(fileWith(header("'<f4'", "(99999999999999999999,)")), /shape is/);
  await refuses(fileWith(header("'<f4'", "(9007199254740991, 9007199254740991)")), /truncated/);
  await refuses(fileWith(header("'O'", "(1,)"), 8), /type 'O'/);
  await refuses(fileWith("{}"), /must give 'descr'/);
  const future = fixtures.npyInt64.slice();
  future[6] = 9;
  await refuses(future, /npy version 9/);
});

Deno.test("no mutation of an npy file brings out anything but a FormatError", async () => {
  await fuzz(fixtures.npyBigEndianFortranV2, name, 400, (bytes) => parse(bytes).toFloat64());
});
