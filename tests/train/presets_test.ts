import assert from "node:assert/strict";
import { UsageError } from "../../lib/errors.ts";
import { parseTrainConfig } from "../../lib/train/config.ts";
import { preset, PRESET_NAMES, presetShape } from "../../lib/train/presets.ts";

Deno.test("every preset is a complete configuration for its own kind of data", () => {
  for (const name of PRESET_NAMES) {
    const config = parseTrainConfig(preset(name), presetShape(name));
    const { resolution } = presetShape(name);
    assert.ok(config.data.padTo === 0 || config.data.padTo === resolution, name);
    assert.ok(config.train.images >= config.train.batch, name);
  }
});

Deno.test("a preset is a copy that may be changed", () => {
  const changed = preset("digits");
  (changed.network as { type: string }).type = "mlp";
  assert.equal(preset("digits").network.type, "song_unet");
});

Deno.test("an unknown preset is refused with the list, also names that all objects have", () => {
  for (const name of ["digit", "toString"]) {
    for (const look of [preset, presetShape]) {
      assert.throws(() => look(name), (error) => {
        assert.ok(error instanceof UsageError);
        for (const known of PRESET_NAMES) assert.ok(error.message.includes(known));
        return true;
      });
    }
  }
});
