/** Tests of what only the wasm device has. */

import { compile } from "../../../lib/compile/compile.ts";
import type { Plan } from "../../../lib/compile/plan.ts";
import type { HostArray } from "../../../lib/device/device.ts";
import { WasmDevice, type WasmOptions } from "../../../lib/device/wasm/device.ts";
import * as t from "../../../lib/tensor/mod.ts";

/** Opens a device, and closes it when `body` ends. */
export async function withDevice<T>(
  options: WasmOptions,
  body: (device: WasmDevice) => Promise<T>,
): Promise<T> {
  const device = await WasmDevice.open(options);
  try {
    return await body(device);
  } finally {
    device.close();
  }
}

/** Loss and gradients of a small network with a layer of every kind. */
export function networkPlan(): Plan {
  const x = t.input("x", [3, 12, 12, 20]);
  const key = t.input("key", [3], "i32");
  const labels = t.input("labels", [3], "i32");
  const w1 = t.input("w1", [3, 3, 20, 24]);
  const w2 = t.input("w2", [72, 24]);
  const w3 = t.input("w3", [3, 3, 24, 24]);
  const table = t.input("table", [5, 24]);
  const [scale, shift] = [t.input("scale", [24]), t.input("shift", [24])];
  const conv = t.conv2d(t.resampleDown(x, [1, 3, 3, 1]), w1, undefined, { padding: 1 });
  const embedded = t.reshape(t.embedding(table, labels), [3, 1, 1, 24]);
  const h = t.silu(t.groupNorm(t.add(conv, embedded), 6, scale, shift, 1e-5));
  const dropped = t.dropout(h, 0.2, key, 3);
  const qkv = t.reshape(t.linear(t.reshape(dropped, [3, 36, 24]), w2), [3, 36, 3, 2, 12]);
  const [q, k, v] = t.unstack(qkv, 2);
  const attended = t.reshape(t.attention(q, k, v), [3, 6, 6, 24]);
  const y = t.resampleUp(t.conv2d(attended, w3, undefined, { padding: 1 }), [1, 1]);
  const noise = t.randomNormal(key, [3, 12, 12, 24], 1);
  const loss = t.mean(t.square(t.sub(y, noise)));
  const parameters = { w1, w2, w3, table, scale, shift };
  const gradients = t.grad(loss, Object.values(parameters));
  return compile({
    label: "network",
    inputs: [x, key, labels, ...Object.values(parameters)],
    outputs: {
      loss,
      y,
      ...Object.fromEntries(Object.keys(parameters).map((name, i) => [`d${name}`, gradients[i]])),
    },
    updates: [],
  });
}

/** What {@link networkPlan} needs beside numbers. */
export const NETWORK_INTEGERS: Record<string, HostArray> = {
  key: Int32Array.of(11, -22, 33),
  labels: Int32Array.of(4, 0, 4),
};
