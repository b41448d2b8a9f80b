/** The files that the commands of the documentation take for granted, small. */

import { join } from "jsr:@std/path@1.0.8";
import { writeNpz } from "../../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../../lib/formats/image/png.ts";

/** Writes them into a folder. */
export async function writeSupposedFiles(folder: string): Promise<void> {
  for (const [name, seed] of [["photos", 1], ["pictures", 2]] as const) {
    await Deno.mkdir(join(folder, name));
    for (let i = 0; i < 24; i++) {
      const data = noise(8 * 8 * 3, seed * 100 + i);
      const png = encodePng({ width: 8, height: 8, channels: 3, data });
      await Deno.writeFile(join(folder, name, `${i}.png`), png);
    }
  }
  for (const [i, name] of ["bird", "cat", "dog"].entries()) {
    await Deno.mkdir(join(folder, "pets", name), { recursive: true });
    for (let n = 0; n < 4; n++) {
      const data = noise(40 * 36 * 3, 100 * i + n + 5);
      const png = encodePng({ width: 40, height: 36, channels: 3, data });
      await Deno.writeFile(join(folder, "pets", name, `${n}.png`), png);
    }
  }
  await Deno.mkdir(join(folder, "fashion-mnist"));
  await Deno.writeFile(
    join(folder, "fashion-mnist/train-images-idx3-ubyte"),
    idx([64, 28, 28], noise(64 * 28 * 28, 3)),
  );
  await Deno.writeFile(
    join(folder, "fashion-mnist/train-labels-idx1-ubyte"),
    idx([64], Uint8Array.from({ length: 64 }, (_, i) => i % 10)),
  );
  await writeNpz(join(folder, "cifar10.npz"), [
    ["arr_0", { type: "u8", shape: [8, 32, 32, 3], data: noise(8 * 32 * 32 * 3, 4) }],
    ["arr_1", { type: "u8", shape: [8], data: Uint8Array.from({ length: 8 }, (_, i) => i) }],
  ]);
  // What a command before it wrote there: redirections are not carried out.
  await Deno.writeTextFile(join(folder, "last.json"), '{"values": {"fd": 1000}}');
}

/** Bytes that repeat with the seed. */
function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed * 2654435761 >>> 0 | 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}

/** An IDX file of bytes. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint16(2, 0x0800 | shape.length);
  shape.forEach((size, axis) => header.setUint32(4 + 4 * axis, size));
  return Uint8Array.from([...new Uint8Array(header.buffer), ...data]);
}
