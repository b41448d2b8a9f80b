import assert from "node:assert/strict";
import { readMessage } from "../../lib/formats/onnx/protobuf.ts";
import { crc32c, eventFileHeader, scalarEvent, tfRecord } from "../../lib/formats/tensorboard.ts";

Deno.test("checksums are CRC-32C, with the known answers of RFC 3720", () => {
  const bytes = (value: number) => new Uint8Array(32).fill(value);
  assert.equal(crc32c(bytes(0)), 0x8a9136aa);
  assert.equal(crc32c(bytes(255)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});

Deno.test("a record has the bytes that TensorFlow writes for it", () => {
  // tf.io.TFRecordWriter's file for b"abc".
  const hex = [...tfRecord(new TextEncoder().encode("abc"))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  assert.equal(hex.slice(0, 16), "0300000000000000");
  assert.equal(hex.slice(24, 30), "616263");
  assert.equal(hex.length, 2 * 19);
});

Deno.test("an event holds time, step and numbers; what is not finite is left out", () => {
  const record = scalarEvent(1.5, 300, { "a/b": 0.25, bad: NaN, c: -2 });
  const event = [...readMessage(record.subarray(12, -4), "event")];
  assert.deepEqual(event.map(({ field }) => field), [1, 2, 5]);
  const time = event[0].value as Uint8Array;
  assert.equal(new DataView(time.buffer, time.byteOffset).getFloat64(0, true), 1.5);
  assert.equal(event[1].value, 300n);
  const values = [...readMessage(event[2].value as Uint8Array, "summary")].map(({ value }) => {
    const [tag, number] = [...readMessage(value as Uint8Array, "value")];
    const bytes = number.value as Uint8Array;
    return [
      new TextDecoder().decode(tag.value as Uint8Array),
      new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true),
    ];
  });
  assert.deepEqual(values, [["a/b", 0.25], ["c", -2]]);
  const header = [...readMessage(eventFileHeader(2).subarray(12, -4), "header")];
  assert.equal(new TextDecoder().decode(header[1].value as Uint8Array), "brain.Event:2");
});
