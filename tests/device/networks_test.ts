/** Whole networks against the official ones, on devices. */

import { sharedDeviceTests } from "../support/devices/devices.ts";
import { evaluateOn } from "../support/devices/evaluators.ts";
import { NET_CASES } from "../support/golden/network_cases.ts";

sharedDeviceTests(
  NET_CASES.map(({ name, run }) => ({ name, run: (device) => run(evaluateOn(device)) })),
);
