/**
 * Event files of TensorBoard, as far as curves need them: records of protocol buffers with
 * checksums. Formats: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto and
 * tensorflow/core/framework/summary.proto.
 *
 * @module
 */

import { MessageWriter } from "./onnx/protobuf.ts";

/** CRC-32C (Castagnoli), reflected. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The CRC-32C of some bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Checksums of records are rotated and shifted, so that records of records are safe. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: length, its checksum, data, their checksum. */
export function tfRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** The first record of an event file. @param time in seconds since 1970 */
export function eventFileHeader(time: number): Uint8Array<ArrayBuffer> {
  return tfRecord(new MessageWriter().double(1, time).string(3, "brain.Event:2").toBytes());
}

/** A record with numbers by name; those that are not finite are left out. */
export function scalarEvent(
  time: number,
  step: number,
  values: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  const summary = new MessageWriter();
  for (const [tag, value] of Object.entries(values)) {
    if (!Number.isFinite(value)) continue;
    summary.message(1, new MessageWriter().string(1, tag).float(2, value));
  }
  return tfRecord(new MessageWriter().double(1, time).int(2, step).message(5, summary).toBytes());
}
