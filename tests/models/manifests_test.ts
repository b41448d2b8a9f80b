import assert from "node:assert/strict";
import type { NetworkConfig } from "../../lib/models/registry.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { EXAMPLE_NETWORKS } from "../support/examples/models.ts";
import { bothFiles, goldenJson, goldenTensors, withGolden } from "../support/golden/fixtures.ts";
import { SMALL_NETWORKS } from "../support/golden/network_cases.ts";
import { publicModel } from "../../lib/models/public_models.ts";

type Shapes = readonly [name: string, shape: readonly number[]][];

interface Manifest {
  readonly config: Record<string, unknown>;
  readonly num_parameters: number;
  readonly parameters: Shapes;
  readonly buffers: Shapes;
  readonly state_dict_order: readonly string[];
}

withGolden(["manifests.json"], () => {
  const { networks, other_parameter_counts } = goldenJson<{
    readonly networks: Readonly<Record<string, Manifest>>;
    readonly other_parameter_counts: Readonly<Record<string, number>>;
  }>("manifests");

  for (const [name, manifest] of Object.entries(networks)) {
    Deno.test(`${name} has the official parameters: names, shapes, order and number`, () => {
      const { parameters } = createNetwork(fromOfficial(manifest.config));
      assert.deepEqual(shapes(parameters.specs.values()), manifest.parameters);
      assert.deepEqual(shapes(parameters.buffers.values()), manifest.buffers);
      assert.deepEqual(parameters.names, manifest.state_dict_order);
      assert.equal(parameters.parameterCount, manifest.num_parameters);
    });
  }

  // Their other settings are those of the DiT that is there in whole.
  const dit = Object.values(networks).find(({ config }) =>
    `${config.model_type}`.startsWith("DiT")
  );
  for (const [name, count] of dit ? Object.entries(other_parameter_counts) : []) {
    Deno.test(`${name} has ${count} parameters`, () => {
      const config = fromOfficial({ ...dit!.config, model_type: name });
      assert.equal(createNetwork(config).parameters.parameterCount, count);
    });
  }
});

function shapes(specs: Iterable<{ name: string; shape: readonly number[] }>) {
  return [...specs].map(({ name, shape }) => [name, shape]);
}

Deno.test("the CIFAR-10 network has the official number of parameters in every variant", () => {
  const { network } = publicModel("cifar10");
  const count = (change: Record<string, unknown>) =>
    createNetwork({ ...network, ...change } as NetworkConfig).parameters.parameterCount;
  assert.equal(count({}), 56_061_443);
  assert.equal(count({ sEmbed: false }), 55_732_739);
  assert.equal(count({ augmentDim: 9 }), 56_062_595);
});

Deno.test("the small networks of the tests have the official number of parameters", () => {
  const counts = { ddpmpp: 194_595, ncsnpp: 197_443, skip: 195_766, dit: 202_768 };
  for (const [name, count] of Object.entries(counts)) {
    const config = EXAMPLE_NETWORKS[name as keyof typeof counts];
    assert.equal(createNetwork(config).parameters.parameterCount, count, name);
  }
});

for (const fixture of SMALL_NETWORKS) {
  withGolden(bothFiles(fixture), () => {
    Deno.test(`${fixture}: names, shapes and order of the state dict are the official ones`, () => {
      const { config, manifest } = goldenJson<{
        config: Record<string, unknown>;
        manifest?: Shapes;
      }>(fixture);
      const { parameters } = createNetwork(fromOfficial(config));
      // Weights that are not stored are listed.
      if (manifest) assert.deepEqual(shapes(parameters.specs.values()), manifest);
      const stored = [...goldenTensors(fixture).keys()].filter((key) => key.startsWith("param."))
        .map((key) => key.slice("param.".length));
      if (stored.length === 0) return;
      // Some programs sort what they write.
      const names = parameters.names;
      const isSorted = stored.every((name, i) => i === 0 || stored[i - 1] < name);
      assert.deepEqual(isSorted ? names.toSorted() : names, stored);
    });
  });
}
