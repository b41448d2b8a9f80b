import assert from "node:assert/strict";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { goldenJson } from "../support/golden/fixtures.ts";

type Shapes = readonly [name: string, shape: readonly number[]][];

interface Manifest {
  readonly config: Record<string, unknown>;
  readonly num_parameters: number;
  readonly parameters: Shapes;
  readonly buffers: Shapes;
  readonly state_dict_order: readonly string[];
}

const { networks, other_parameter_counts } = goldenJson<{
  readonly networks: Readonly<Record<string, Manifest>>;
  readonly other_parameter_counts: Readonly<Record<string, number>>;
}>("manifests");

for (const [name, manifest] of Object.entries(networks)) {
  Deno.test(`${name} has the official parameters: names, shapes, order and number`, () => {
    const { parameters } = createNetwork(fromOfficial(manifest.config));
    const shapes = (specs: Iterable<{ name: string; shape: readonly number[] }>) =>
      [...specs].map((spec) => [spec.name, spec.shape]);
    assert.deepEqual(shapes(parameters.specs.values()), manifest.parameters);
    assert.deepEqual(shapes(parameters.buffers.values()), manifest.buffers);
    assert.deepEqual(parameters.names, manifest.state_dict_order);
    assert.equal(parameters.parameterCount, manifest.num_parameters);
  });
}

for (const [name, count] of Object.entries(other_parameter_counts)) {
  Deno.test(`${name} has ${count} parameters`, () => {
    const config = { ...networks.DiT_XL_2.config, model_type: name };
    assert.equal(createNetwork(fromOfficial(config)).parameters.parameterCount, count);
  });
}

Deno.test("the CIFAR-10 network has the official number of parameters in every variant", () => {
  const { config } = networks.cifar10;
  const count = (change: Record<string, unknown>) =>
    createNetwork(fromOfficial({ ...config, ...change })).parameters.parameterCount;
  assert.equal(count({ s_embed: false }), 55_732_739);
  assert.equal(count({ augment_dim: 9 }), 56_062_595);
});

for (const fixture of ["net_ddpmpp", "net_ncsnpp", "net_skip", "net_dit", "net_dit_qknorm"]) {
  Deno.test(`${fixture}: the state dict has the official order`, () => {
    const { config } = goldenJson<{ config: Record<string, unknown> }>(fixture);
    assert.deepEqual(createNetwork(fromOfficial(config)).parameters.names, storedOrder(fixture));
  });
}

Deno.test("net_adm_heads: the parameters are the official ones, in order", () => {
  const { config, manifest } = goldenJson<{ config: Record<string, unknown>; manifest: Shapes }>(
    "net_adm_heads",
  );
  const { specs } = createNetwork(fromOfficial(config)).parameters;
  assert.deepEqual([...specs.values()].map(({ name, shape }) => [name, shape]), manifest);
});

/** Names of a fixture's parameters by where they lie in its file: the order they were saved in. */
function storedOrder(fixture: string): string[] {
  const bytes = Deno.readFileSync(new URL(`../golden/${fixture}.safetensors`, import.meta.url));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, { data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + length)),
  );
  return Object.entries(header)
    .filter(([name]) => name.startsWith("param."))
    .sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0])
    .map(([name]) => name.slice("param.".length));
}
