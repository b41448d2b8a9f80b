/** Numbers in reports. @module */

/** Six digits, more than any metric deserves, without trailing noise. */
export function formatValue(value: number): string {
  return String(Number(value.toPrecision(6)));
}
