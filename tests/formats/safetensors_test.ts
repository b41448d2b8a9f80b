import assert from "node:assert/strict";
import { join } from "node:path";
import { FormatError } from "../../lib/base/errors.ts";
import {
  openSafetensors,
  parseSafetensors,
  serializeSafetensors,
  writeSafetensors,
} from "../../lib/formats/safetensors/safetensors.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { withoutChecksums } from "../support/formats/safetensors.ts";

/** Written by the Python package safetensors 0.8.0, numpy 2.4.6. */
const PYTHON_FILE = Uint8Array.fromBase64(
  "AAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCIsIm5vdGUiOiLDqSJ9LCJpNjQiOnsiZHR5cGUiOiJJ" +
    "NjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlswLDE2XX0sImY2NCI6eyJkdHlwZSI6IkY2NCIsInNoYXBlIjpb" +
    "MV0sImRhdGFfb2Zmc2V0cyI6WzE2LDI0XX0sImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDNdLCJkYXRh" +
    "X29mZnNldHMiOlsyNCwyNF19LCJmMzIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzIsM10sImRhdGFfb2Zmc2V0cyI6" +
    "WzI0LDQ4XX0sInNjYWxhciI6eyJkdHlwZSI6IkkzMiIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbNDgsNTJdfSwi" +
    "ZjE2Ijp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNTIsNThdfSwidTgiOnsiZHR5cGUi" +
    "OiJVOCIsInNoYXBlIjpbMSwxXSwiZGF0YV9vZmZzZXRzIjpbNTgsNTldfSwiZmxhZyI6eyJkdHlwZSI6IkJPT0wiLCJz" +
    "aGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls1OSw2MV19fSAgIP//////////AAAAAAABAAAYLURU+yEJQAAAIMAAAMC/" +
    "AAAAvwAAAD8AAMA/AAAgQAQAAAAAPgC0AQAHAQA=",
);
const name = "model.safetensors";

/** A file with this header and so many zero bytes of data. */
function fileWith(header: unknown, dataBytes: number, text = JSON.stringify(header)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function refuses(bytes: Uint8Array, message: RegExp): void {
  assert.throws(() => parseSafetensors(bytes, { name }), (error) => {
    assert(error instanceof FormatError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /model\.safetensors/);
    return true;
  });
}

Deno.test("a file written by the Python package is read with all its element types", () => {
  const { metadata, tensors } = parseSafetensors(PYTHON_FILE, { name });
  assert.deepEqual(metadata, { format: "pt", note: "é" });
  assert.deepEqual([...tensors.keys()].sort(), [
    "empty",
    "f16",
    "f32",
    "f64",
    "flag",
    "i64",
    "scalar",
    "u8",
  ]);
  const values = (key: string) => [...tensors.get(key)!.toFloat64()];
  assert.deepEqual(tensors.get("f32")!.shape, [2, 3]);
  assert.deepEqual(values("f32"), [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
  assert.deepEqual([...tensors.get("f32")!.toFloat32()], values("f32"));
  assert.deepEqual(values("f64"), [Math.PI]);
  assert.deepEqual(values("i64"), [-1, 2 ** 40]);
  assert.deepEqual(values("f16"), [1.5, -0.25, 2 ** -24]);
  assert.deepEqual(values("flag"), [1, 0]);
  assert.deepEqual(values("empty"), []);
  assert.deepEqual(tensors.get("scalar")!.shape, []);
  assert.deepEqual([...tensors.get("scalar")!.toFloat64()], [4]);
});

Deno.test("bfloat16 and the two 8-bit floats are widened exactly", () => {
  const bytes = (list: number[]) => Uint8Array.from(list);
  const file = fileWith({
    bf16: { dtype: "BF16", shape: [2], data_offsets: [0, 4] },
    e4m3: { dtype: "F8_E4M3", shape: [5], data_offsets: [4, 9] },
    e5m2: { dtype: "F8_E5M2", shape: [3], data_offsets: [9, 12] },
  }, 12);
  file.set(bytes([0xC0, 0x3F, 0x80, 0xC2]), file.length - 12); // 1.5, -64
  file.set(bytes([0x38, 0x01, 0x7E, 0xB8, 0x7F]), file.length - 8); // 1, 2^-9, 448, -1, NaN
  file.set(bytes([0x3C, 0x7B, 0xFC]), file.length - 3); // 1, 57344, -Infinity
  const { tensors } = parseSafetensors(file, { name });
  assert.deepEqual([...tensors.get("bf16")!.toFloat32()], [1.5, -64]);
  assert.deepEqual([...tensors.get("e4m3")!.toFloat32()], [1, 2 ** -9, 448, -1, NaN]);
  assert.deepEqual([...tensors.get("e5m2")!.toFloat32()], [1, 57344, -Infinity]);
});

Deno.test("what is written is read back, from memory and tensor by tensor from the disk", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const weights = Float32Array.of(1, -2, 3.25, NaN);
    const list = [
      ["step", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ["weights", { dtype: "F32", shape: [2, 2], data: weights }],
      ["loss", { dtype: "F64", shape: [], data: Float64Array.of(1e-300) }],
    ] as const;
    const path = join(folder, name);
    await writeSafetensors(
      path,
      list.map(([key, tensor]) => [key, { ...tensor, data: () => Promise.resolve(tensor.data) }]),
      { note: 'quotes " and \n' },
    );
    const onDisk = await Deno.readFile(path);
    const pieces = serializeSafetensors(list, { note: 'quotes " and \n' });
    assert.deepEqual(onDisk, new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer()));

    const { metadata, tensors } = parseSafetensors(onDisk, { name });
    assert.deepEqual(metadata, { note: 'quotes " and \n' });
    assert.deepEqual([...tensors.keys()], ["loss", "weights", "step"]); // widest first: aligned
    assert.deepEqual(tensors.get("weights")!.toFloat32(), weights);

    using file = await openSafetensors(path);
    assert.deepEqual(file.entries.get("weights")!.shape, [2, 2]);
    const [loss, step] = await Promise.all([file.read("loss"), file.read("step")]);
    assert.deepEqual([...loss.toFloat64()], [1e-300]);
    assert.deepEqual([...step.bytes], [1, 2, 3]);
    await assert.rejects(file.read("bias"), /no tensor named "bias"/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writing refuses numbers that do not fit the shape and leaves no file behind", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tensor = { dtype: "F32", shape: [3], data: new Float32Array(2) } as const;
    await assert.rejects(
      writeSafetensors(join(folder, name), [["w", tensor]]),
      /Tensor "w" of type F32 and shape \[3\] needs 12 bytes, but was given 8\./,
    );
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    const same = { dtype: "U8", shape: [0], data: new Uint8Array() } as const;
    assert.throws(() => serializeSafetensors([["w", same], ["w", same]]), /both be named "w"/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("damaged and hostile files are refused with a sentence that names the file", () => {
  const f32 = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => (
    { dtype: "F32", shape, data_offsets: [begin, end] }
  );
  refuses(new Uint8Array(3), /at least 8 bytes, found 3/);
  refuses(PYTHON_FILE.subarray(0, 100), /truncated: its header is 512 bytes, but only 92/);
  refuses(PYTHON_FILE.subarray(0, PYTHON_FILE.length - 1), /truncated: .* 61 bytes, found 60/);
  refuses(new Uint8Array(64).fill(0xFF), /limit of 100000000/);
  refuses(fileWith({}, 0, "{nonsense"), /header is not JSON/);
  refuses(fileWith([1], 0), /not a JSON object/);
  refuses(fileWith({ __metadata__: { a: 1 } }, 0), /object of strings/);
  refuses(fileWith({ __metadata__: [] }, 0), /object of strings/);
  refuses(fileWith({ w: { ...f32(0, 4), dtype: "F4" } }, 4), /element type "F4"; known are/);
  refuses(fileWith({ w: { ...f32(0, 4), dtype: "toString" } }, 4), /element type "toString"/);
  refuses(fileWith({ w: f32(0, 4, [-1]) }, 4), /no valid shape/);
  refuses(fileWith({ w: f32(0, 4, [1.5]) }, 4), /no valid shape/);
  refuses(fileWith({ w: { ...f32(4, 8), data_offsets: [8, 4] } }, 8), /no valid data_offsets/);
  refuses(fileWith({ w: f32(0, 8, [3]) }, 8), /needs 12 bytes, but its data_offsets hold 8/);
  refuses(fileWith({ w: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), /needs .* bytes/);
  refuses(fileWith({ a: f32(0, 8), b: f32(4, 12) }, 12), /"b" overlaps .* byte 8, found 4/);
  refuses(fileWith({ a: f32(0, 4), b: f32(8, 12) }, 12), /"b" leaves a gap/);
  refuses(fileWith({ a: f32(0, 4) }, 8), /bytes that belong to no tensor/);
  refuses(fileWith({ a: null }, 0), /described by an object/);
});

Deno.test("names with a meaning in JavaScript are ordinary names", () => {
  const header = '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
  const { tensors } = parseSafetensors(fileWith(null, 1, header), { name });
  assert.deepEqual([...tensors.keys()], ["__proto__"]);
});

Deno.test("a missing file and a folder are named in the error", async () => {
  await assert.rejects(openSafetensors("/nowhere/x.safetensors"), (error) => {
    assert(error instanceof FormatError);
    assert.match(error.message, /\/nowhere\/x\.safetensors does not exist/);
    return true;
  });
  const folder = await Deno.makeTempDir();
  await assert.rejects(openSafetensors(folder), /is a folder; give the path of a file/);
  await Deno.remove(folder);
});

Deno.test("no mutation of a file brings out anything but a FormatError", async () => {
  const { refused } = await fuzz(PYTHON_FILE, name, 500, (bytes) => {
    for (const tensor of parseSafetensors(bytes, { name }).tensors.values()) tensor.toFloat64();
  });
  assert(refused > 200);
});

Deno.test("metadata of null are none, as the official implementation takes them", () => {
  const bytes = fileWith({
    __metadata__: null,
    w: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
  }, 4);
  const { metadata, tensors } = parseSafetensors(bytes, { name });
  assert.deepEqual(metadata, {});
  assert.deepEqual([...tensors.keys()], ["w"]);
});

Deno.test("every single bit that flips in a file is told, or changes nothing that is read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, name);
    await writeSafetensors(path, [
      ["weights", { dtype: "F32", shape: [2, 2], data: () => Float32Array.of(1, -2, 3.25, NaN) }],
      ["step", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ["none", { dtype: "F32", shape: [0], data: new Float32Array() }],
    ], { note: "what it is", other: "é" });
    const bytes = await Deno.readFile(path);
    const contents = (file: Uint8Array) => {
      const { metadata, tensors } = parseSafetensors(file, { name });
      const list = [...tensors].map(([key, { dtype, shape, bytes }]) => [key, dtype, shape, bytes]);
      return { note: metadata.note, other: metadata.other, list };
    };
    const whole = contents(bytes);
    let refused = 0;
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      try {
        assert.deepEqual(contents(damaged), whole, `bit ${bit & 7} of byte ${bit >> 3}`);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refused++;
      }
    }
    // Only the name of the checksums themselves can change without anyone knowing.
    assert.ok(refused >= 8 * (bytes.length - "imm.crc32".length), `${refused} of ${bytes.length}`);

    const last = bytes.slice();
    last[bytes.length - 1] ^= 1;
    await Deno.writeFile(path, last);
    using file = await openSafetensors(path);
    await assert.rejects(file.read("step"), /tensor "step" does not match its checksum: the file/);
    assert.equal((await file.read("weights")).shape.length, 2);
    assert.deepEqual(parseSafetensors(withoutChecksums(last), { name }).tensors.size, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("checksums do not depend on how another program arranges the same file", () => {
  const tensors = [
    ["b", { dtype: "U8", shape: [1], data: Uint8Array.of(1) }],
    ["a", { dtype: "U8", shape: [2], data: Uint8Array.of(2, 3) }],
  ] as const;
  const metadata = { two: "2", one: "1" };
  const joined = (pieces: Uint8Array[]) => Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  const bytes = joined(serializeSafetensors(tensors, metadata));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const rearranged = fileWith(
    null,
    3,
    JSON.stringify(
      {
        a: { ...header.a, data_offsets: [0, 2] },
        b: { ...header.b, data_offsets: [2, 3] },
        __metadata__: Object.fromEntries(Object.entries(header.__metadata__).reverse()),
      },
      null,
      1,
    ),
  );
  rearranged.set([2, 3, 1], rearranged.length - 3);
  const read = parseSafetensors(rearranged, { name });
  assert.deepEqual({ ...read.metadata }, metadata);
  assert.deepEqual([...read.tensors.get("a")!.bytes], [2, 3]);
  rearranged.set([2, 3, 0], rearranged.length - 3);
  refuses(rearranged, /tensor "b" does not match its checksum/);
});
