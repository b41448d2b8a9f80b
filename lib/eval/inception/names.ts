/**
 * What programs call the tensors of the FID's Inception network. All of them have the same network
 * and, from wherever they were fetched, the same weights.
 *
 * @module
 */

/** Names of a unit's tensors after its own name, as in pytorch-fid's state dict and elsewhere. */
const PARTS: Readonly<Record<string, string>> = {
  "conv.weight": "weight",
  "bn.bias": "beta",
  "bn.running_mean": "mean",
  "bn.running_var": "var",
  "bn.weight": "gamma",
};

/** The blocks of pytorch-fid's module: four sequences of layers. */
const SEQUENCES = [
  ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"],
  ["Conv2d_3b_1x1", "Conv2d_4a_3x3"],
  [..."bcd"].map((letter) => `Mixed_5${letter}`).concat(
    [..."abcde"].map((letter) => `Mixed_6${letter}`),
  ),
  [..."abc"].map((letter) => `Mixed_7${letter}`),
];

/** The blocks of the network in their order, as TensorFlow numbers them. */
const UNITS = SEQUENCES.slice(0, 2).flat();
const BLOCKS = SEQUENCES.slice(2).flat();

/**
 * Finds how a file names its tensors, and returns the name in the file of each name of pytorch-fid's
 * state dict. Whatever stands before all names (`module.`, `net.layers.`) is passed over. Known are
 *
 * - pytorch-fid's and torch-fidelity's state dicts: `Mixed_5b.branch1x1.conv.weight`;
 * - the state dict of pytorch-fid's module: `blocks.2.0.branch1x1.conv.weight`;
 * - TorchScript archives of StyleGAN, which clean-fid uses too, and TensorFlow:
 *   `layers.mixed.conv.weight`, with `beta`, `mean` and `var`.
 */
export function findNames(
  available: { keys(): Iterable<string> },
): (name: string) => string {
  const names = [...available.keys()];
  for (const [first, translate] of SCHEMES) {
    const found = names.find((name) => name === first || name.endsWith(`.${first}`));
    if (found === undefined) continue;
    const prefix = found.slice(0, -first.length);
    // Names of towers are joined by dots or by underscores.
    const plain = new Map(names.map((name) => [name.replaceAll(".", "_"), name]));
    return (name) => {
      const own = prefix + translate(name);
      return plain.get(own.replaceAll(".", "_")) ?? own;
    };
  }
  return (name) => name;
}

/** A name that is in every file of the scheme, and how the scheme names a tensor. */
const SCHEMES: readonly (readonly [first: string, translate: (name: string) => string])[] = [
  ["Conv2d_1a_3x3.conv.weight", (name) => name],
  ["blocks.0.0.conv.weight", sequenceName],
  ["conv.weight", tensorFlowName],
];

function sequenceName(name: string): string {
  const [block, ...rest] = name.split(".");
  for (const [i, sequence] of SEQUENCES.entries()) {
    const at = sequence.indexOf(block);
    if (at >= 0) return ["blocks", i, at, ...rest].join(".");
  }
  return name;
}

/**
 * `Mixed_5b.branch5x5_2.conv.weight` is `mixed.tower.conv_1.weight`: blocks are numbered, and within
 * one all branches of more than one convolution, and the one behind the pool, are towers.
 */
function tensorFlowName(name: string): string {
  if (name === "fc.weight") return "output.weight";
  const [unit, ...rest] = name.split(".");
  const numbered = (base: string, n: number) => n === 0 ? base : `${base}_${n}`;
  const at = UNITS.indexOf(unit);
  if (at >= 0) return `${numbered("conv", at)}.${PARTS[rest.join(".")]}`;
  const block = numbered("mixed", BLOCKS.indexOf(unit));
  const [branch, ...part] = rest;
  const [, base, step, side] = /^(.*?)(?:_(\d)([ab])?)?$/.exec(branch)!;
  const tower = towerOf(unit, base, step !== undefined);
  const conv = side === undefined
    ? numbered("conv", Number(step ?? 1) - 1)
    : numbered("mixed_conv", side === "a" ? 0 : 1);
  return [block, tower, conv, PARTS[part.join(".")]].filter(Boolean).join(".");
}

/** The tower of a branch; none for the single convolution that a block begins with. */
function towerOf(block: string, base: string, hasSteps: boolean): string | null {
  const isLast = base === "branch_pool";
  if (!hasSteps && !isLast) return null;
  if (isLast) return "tower_2";
  const towers = block === "Mixed_6a"
    ? ["branch3x3dbl"]
    : block === "Mixed_7a"
    ? ["branch3x3", "branch7x7x3"]
    : block.startsWith("Mixed_5")
    ? ["branch5x5", "branch3x3dbl"]
    : block.startsWith("Mixed_6")
    ? ["branch7x7", "branch7x7dbl"]
    : ["branch3x3", "branch3x3dbl"];
  return ["tower", "tower_1"][towers.indexOf(base)];
}
