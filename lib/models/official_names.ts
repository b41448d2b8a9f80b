/**
 * Names of settings in the public code and here: its snake_case and our camelCase.
 *
 * @module
 */

/** Official names of keys that are not the snake_case form of ours. */
const RENAMED: Readonly<Record<string, string>> = { num_classes: "label_dim" };

/** Official names within `embedding_kwargs`. */
const EMBEDDING_OPTIONS: Readonly<Record<string, string>> = {
  embedding_type: "embeddingType",
  frequency_embedding_size: "timeChannels",
  scale: "fourierScale",
};

/** Settings under our names. */
export function camelCase(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (key === "embedding_kwargs") {
      for (const [name, option] of Object.entries(value as object)) {
        own[EMBEDDING_OPTIONS[name] ?? name] = option;
      }
      continue;
    }
    const name = RENAMED[key] ?? key;
    own[name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())] = value;
  }
  return own;
}

/** Settings under official names. */
export function snakeCase(settings: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}
