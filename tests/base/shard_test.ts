import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { parseShard, shardOf } from "../../lib/base/shard.ts";

const parse = (text: string, variables: Record<string, string | number> = {}) => {
  const { index, of } = parseShard(
    text,
    "--shard",
    (name) => name in variables ? String(variables[name]) : undefined,
  );
  return `${index}/${of}`;
};

Deno.test("a part is given as its number and the number of parts", () => {
  assert.equal(parse("1/8"), "1/8");
  assert.equal(parse("8/8"), "8/8");
  for (const wrong of ["0/8", "9/8", "3", "1/0", "-1/8", "1/8/9", "a/b", "", "1.5/2"]) {
    assert.throws(() => parse(wrong), UsageError, wrong);
  }
});

Deno.test("auto reads the variables of the usual schedulers", () => {
  const array = {
    SLURM_ARRAY_TASK_ID: 14,
    SLURM_ARRAY_TASK_MIN: 10,
    SLURM_ARRAY_TASK_STEP: 2,
    SLURM_ARRAY_TASK_COUNT: 4,
  };
  assert.equal(parse("auto", array), "3/4");
  const task = { SLURM_PROCID: 1, SLURM_STEP_NUM_TASKS: 2 };
  assert.equal(parse("auto", task), "2/2");
  assert.equal(parse("auto", { ...array, ...task }), "6/8");
  // A batch script runs once, whatever number of tasks it asked for.
  assert.equal(parse("auto", { ...array, SLURM_PROCID: 0, SLURM_NTASKS: 2 }), "3/4");
  assert.equal(parse("auto", { OMPI_COMM_WORLD_RANK: 0, OMPI_COMM_WORLD_SIZE: 3 }), "1/3");
  assert.equal(parse("auto", { PMI_RANK: 2, PMI_SIZE: 3 }), "3/3");
  assert.equal(parse("auto", { CI_NODE_INDEX: 2, CI_NODE_TOTAL: 3 }), "2/3");
  assert.equal(parse("auto", { SHARD_INDEX: 1, SHARD_COUNT: 3 }), "2/3");
  assert.equal(parse("auto/5", { JOB_COMPLETION_INDEX: 4 }), "5/5");
});

Deno.test("auto says what is missing", () => {
  assert.throws(() => parse("auto"), /none of the variables of Slurm, .*Kubernetes.* as in 2\/8/);
  assert.throws(() => parse("auto", { SHARD_INDEX: "" }), /none of the variables/);
  assert.throws(() => parse("auto", { JOB_COMPLETION_INDEX: 1 }), /Kubernetes says .* auto\/8/);
  assert.throws(() => parse("auto/2", { PMI_RANK: 2, PMI_SIZE: 3 }), /variables say 3\/2/);
});

Deno.test("the parts of a list are the list", () => {
  const list = Array.from({ length: 11 }, (_, i) => i);
  for (const count of [1, 2, 3, 7, 11, 20]) {
    const parts = Array.from(
      { length: count },
      (_, i) => shardOf(list, { index: i + 1, of: count }),
    );
    assert.deepEqual(parts.flat(), list);
    const lengths = parts.map((part) => part.length);
    assert(Math.max(...lengths) - Math.min(...lengths) <= 1);
  }
});
