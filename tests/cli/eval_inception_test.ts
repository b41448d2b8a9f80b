/** `imm eval` in Inception's features, with weights from the hash. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@^1";
import { encodePng } from "../../lib/format/png.ts";
import { writeSafetensors } from "../../lib/format/safetensors.ts";
import { withTempFolder } from "../support/files.ts";
import { hashedImages, hashedInception } from "../support/inception.ts";
