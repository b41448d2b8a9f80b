import { deepStrictEqual, throws } from "node:assert/strict";
import { FormatError } from "../../lib/base/errors.ts";
import { MessageWriter, readMessage } from "../../lib/formats/onnx/protobuf.ts";

Deno.test("MessageWriter encodes the examples of the specification", () => {
  // https://protobuf.dev/programming-guides/encoding/
  deepStrictEqual([...new MessageWriter().int(1, 150).toBytes()], [0x08, 0x96, 0x01]);
  const testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
  deepStrictEqual([...new MessageWriter().string(2, "testing").toBytes()], testing);
  const inner = new MessageWriter().int(1, 150);
  const outer = new MessageWriter().message(3, inner);
  deepStrictEqual([...outer.toBytes()], [0x1a, 0x03, 0x08, 0x96, 0x01]);
  const minusTwo = [0x08, 0xfe, ...Array(8).fill(0xff), 0x01];
  deepStrictEqual([...new MessageWriter().int(1, -2).toBytes()], minusTwo);
});

Deno.test("readMessage reads what MessageWriter wrote", () => {
  const bytes = new MessageWriter().int(1, 2 ** 40).float(2, 0.5).bytes(300, Uint8Array.of(7, 8))
    .toBytes();
  deepStrictEqual([...readMessage(bytes, "test")], [
    { field: 1, value: 2n ** 40n },
    { field: 2, value: new Uint8Array(Float32Array.of(0.5).buffer) },
    { field: 300, value: Uint8Array.of(7, 8) },
  ]);
});

Deno.test("readMessage refuses messages that end early or are none", () => {
  const bytes = new MessageWriter().int(1, 300).float(2, 1).string(3, "text").toBytes();
  const whole = [3, 8, 14]; // ends of fields
  for (let length = 1; length < bytes.length; length++) {
    const read = () => [...readMessage(bytes.subarray(0, length), "cut.onnx")];
    if (whole.includes(length)) read();
    else throws(read, (error) => error instanceof FormatError && /cut\.onnx/.test(error.message));
  }
  throws(() => [...readMessage(Uint8Array.of(0x0b), "group")], /unknown wire type 3/);
  throws(() => [...readMessage(new Uint8Array(12).fill(0xff), "ones")], /does not end/);
});
