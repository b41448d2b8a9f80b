/** The chapter of docs/extending.md on new operations, followed word by word. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { importMapArguments, runModule } from "../support/cli/imm.ts";
import { hasAdapter } from "../support/devices/devices.ts";
import { codeOf, copyProject, touched } from "../support/extending.ts";
import { withTempFolder } from "../support/files.ts";

const FILES = [
  "lib/tensor/cumsum.ts",
  "lib/compile/kernels/cumsum.ts",
  "lib/device/webgpu/wgsl/cumsum.ts",
  "lib/device/wasm/encode/cumsum.ts",
];

/** What rows need of the new files. */
const IMPORTS: Readonly<Record<string, string>> = {
  "lib/compile/kernels/mod.ts": `import { cumsum, type CumsumKernel } from "./cumsum.ts";`,
  "lib/device/webgpu/kernels.ts": `import { generateCumsum } from "./wgsl/cumsum.ts";`,
  "lib/device/wasm/encode/mod.ts": `import { encodeCumsum } from "./cumsum.ts";`,
};

/** Sums of the rows of a transposed matrix, and their gradient, on each device. */
const PROGRAM = `
import assert from "node:assert/strict";
import { compile } from "./lib/compile/mod.ts";
import { openDevice } from "./lib/device/mod.ts";
import { cumsum, grad, input, mul, sum, transpose } from "./lib/tensor/mod.ts";

const [x, p] = [input("x", [3, 70]), input("p", [70, 3])];
const y = cumsum(transpose(x));
const [dx] = grad(sum(mul(y, p)), [x]);
const plan = compile({ label: "sums", inputs: [x, p], outputs: { y, dx }, updates: [] });
const numbers = (n: number) => Float32Array.from({ length: n }, (_, i) => i * 7 % 11);
const data = { x: numbers(210), p: numbers(210) };
const at = (column: number, row: number) => data.x[column * 70 + row];
for (const kind of Deno.args as ("wasm" | "webgpu")[]) {
  const device = await openDevice({ device: kind });
  const sums = await device.prepare(plan, new Map());
  sums.run(data);
  const found = await sums.read(["y", "dx"]);
  for (let row = 0; row < 70; row++) {
    let [up, down] = [0, 0];
    for (let column = 0; column < 3; column++) {
      up += at(column, row);
      assert.equal(found.y[row * 3 + column], up);
      down += data.p[row * 3 + 2 - column];
      assert.equal(found.dx[(2 - column) * 70 + row], down);
    }
  }
  device.close();
}
`;

/** The rows of the page by the file that they go to. */
function rowsOf(block: string): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  for (const part of block.split(/^\/\/ /m).slice(1)) {
    const [head, ...lines] = part.trimEnd().split("\n");
    rows.set(head.split(":")[0], lines);
  }
  return rows;
}

/** A file with rows where their like stands. */
function withRow(text: string, row: string): string {
  if (row.startsWith("export")) return text.replace(/^export/m, `${row}\n$&`);
  if (row.startsWith("|")) return text.replace(/^export type (Op|Kernel) =$/m, `$&\n  ${row}`);
  return text.replace(/^ {2}resample\b/m, `  ${row}\n$&`);
}

Deno.test("an operation is four new files and a row in the table of each room", async () => {
  const blocks = codeOf("A new operation");
  const rows = rowsOf(blocks[FILES.length]);
  await withTempFolder(async (folder) => {
    await copyProject(folder);
    const edit = async (path: string, change: (text: string) => string) => {
      const text = await Deno.readTextFile(join(folder, path));
      await Deno.writeTextFile(join(folder, path), change(text));
    };
    // The operation and its kernel alone: now the compiler names the tables.
    const unions = ["lib/tensor/tensor.ts", "lib/compile/kernels/mod.ts"];
    for (const [i, path] of FILES.slice(0, 2).entries()) {
      await Deno.writeTextFile(join(folder, path), blocks[i]);
      await edit(unions[i], (text) => withRow(text, rows.get(unions[i])![0]));
    }
    const imported = "lib/compile/kernels/mod.ts";
    await edit(imported, (text) => text.replace(/^import /m, `${IMPORTS[imported]}\n$&`));
    const named = (await brokenFiles(folder)).filter((path) => !FILES.includes(path));
    assert.deepEqual(named, [
      "lib/compile/kernels/mod.ts",
      "lib/compile/operations.ts",
      "lib/device/wasm/encode/mod.ts",
      "lib/device/webgpu/kernels.ts",
    ]);

    for (const [i, path] of FILES.entries()) {
      await Deno.writeTextFile(join(folder, path), blocks[i]);
    }
    for (const [path, lines] of rows) {
      await edit(path, (text) => {
        const missing = lines.filter((line) => !text.includes(`\n  ${line}\n`));
        const before = path in IMPORTS && !text.includes(IMPORTS[path])
          ? text.replace(/^import /m, `${IMPORTS[path]}\n$&`)
          : text;
        return missing.reduce(withRow, before);
      });
    }
    assert.deepEqual(await brokenFiles(folder), []);
    const { added, changed } = touched(folder);
    assert.deepEqual([...added].sort(), [...FILES].sort());
    assert.deepEqual(Object.keys(changed).sort(), [...rows.keys()].sort());
    assert.equal(Object.values(changed).flat().length, 8 + Object.keys(IMPORTS).length);

    await Deno.writeTextFile(join(folder, "sums.ts"), PROGRAM);
    const devices = hasAdapter ? ["wasm", "webgpu"] : ["wasm"];
    const { stderr, code } = await runModule(join(folder, "sums.ts"), devices, {
      permissions: ["--allow-all", "--no-check"],
    });
    assert.equal(code, 0, stderr);
  });
});

/** Files in which the types do not fit, in alphabetical order. */
async function brokenFiles(folder: string): Promise<string[]> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", ...importMapArguments(), join(folder, "lib/device/mod.ts")],
    env: { NO_COLOR: "1" },
  }).output();
  const found = new TextDecoder().decode(stderr).matchAll(/^ +at file:\/\/\S*?\/(lib\/[^:]+):/gm);
  return [...new Set([...found].map(([, path]) => path))].sort();
}
