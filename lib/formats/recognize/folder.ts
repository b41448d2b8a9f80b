/**
 * Folders in which other programs keep models, by the names of what lies in them.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";

/**
 * What is known about folders of other programs, with what to do; null for any other.
 *
 * @param names what lies in it, folders with a slash at their end
 */
export async function recognizeFolder(
  folder: string,
  names: readonly string[] = namesIn(folder),
): Promise<string | null> {
  const has = (name: string) => names.includes(name);
  const json = async (name: string): Promise<Record<string, unknown>> => {
    try {
      return Object(JSON.parse(await Deno.readTextFile(join(folder, name))));
    } catch {
      return {};
    }
  };
  const known = "imm reads SongUNet, DhariwalUNet and DiT under the names of the public PyTorch " +
    "code; take the checkpoint that the model was made of";
  if (has("model_index.json")) {
    const { _class_name: pipeline } = await json("model_index.json");
    const parts = names.filter((name) => /^(?:unet|transformer)/.test(name)).map((name) =>
      name.replace("/", "")
    );
    return `a pipeline of diffusers${pipeline ? ` (${pipeline})` : ""}, whose networks ` +
      `${parts.length > 0 ? `(${parts.join(", ")}) ` : ""}have other names and layouts: ${known}`;
  }
  if (has("config.json")) {
    const { _class_name: network, architectures, model_type: type } = await json("config.json");
    if (typeof network === "string") {
      return `a network of diffusers (${network}), which has other names and layouts: ${known}`;
    }
    if (Array.isArray(architectures) || typeof type === "string" && names.some(isTransformers)) {
      return `a model of transformers (${[architectures ?? type].flat()[0]}): ${known}`;
    }
  }
  if (has(".metadata") && names.some((name) => name.endsWith(".distcp"))) {
    return "a distributed checkpoint of PyTorch: make one file of it with python -m " +
      `torch.distributed.checkpoint.format_utils dcp_to_torch ${folder} FILE`;
  }
  if (has("zero_to_fp32.py")) {
    return `a checkpoint of DeepSpeed: make one file of it with python ${folder}/zero_to_fp32.py ` +
      `${folder} FILE`;
  }
  if (has("saved_model.pb") || names.some((name) => /\.data-\d{5}-of-\d{5}$/.test(name))) {
    return "a checkpoint of TensorFlow: save its arrays as npz under the names of the PyTorch code";
  }
  if (
    names.some((name) => ["_CHECKPOINT_METADATA", "manifest.ocdbt", "_METADATA"].includes(name))
  ) {
    return "a checkpoint of Orbax (JAX): save its arrays as npz under the names of the PyTorch code";
  }
  return null;
}

function isTransformers(name: string): boolean {
  return /^(?:pytorch_model|model.*\.safetensors|tokenizer)/.test(name);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name, isDirectory }) =>
      isDirectory ? `${name}/` : name
    );
  } catch { // a folder that may not be listed
    return [];
  }
}
