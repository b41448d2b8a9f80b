/** A thread of prepare.ts. @module */

import { serveRequests } from "../workers.ts";
import { preparePicture } from "./prepare_picture.ts";

serveRequests(preparePicture, ({ bytes }) => [bytes.buffer]);
