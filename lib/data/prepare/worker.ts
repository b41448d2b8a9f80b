/** A thread of prepare.ts. @module */

import { serveRequests } from "../../base/workers.ts";
import { preparePicture } from "./picture.ts";

serveRequests(preparePicture, ({ bytes }) => [bytes.buffer]);
