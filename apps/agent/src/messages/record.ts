import { crc32 } from 'node:zlib';

/**
 * What a segment consists of. Bytes: length of the body (4), its CRC-32 (4), body. A body: kind (1), number (8), and
 * for a message the length of its topic (2), topic, payload. All numbers are big-endian.
 */
export type QueueRecord =
  | {
      readonly kind: 'message';
      readonly number: number;
      readonly topic: string;
      readonly payload: Uint8Array;
    }
  /** All messages up to this number were delivered. */
  | { readonly kind: 'delivered'; readonly number: number };

const MESSAGE = 1;
const DELIVERED = 2;
const HEAD = 8;
const FIXED = 9;

export function encodeRecord(record: QueueRecord): Buffer {
  const isMessage = record.kind === 'message';
  const topic = Buffer.from(isMessage ? record.topic : '');
  const payload = isMessage ? record.payload : new Uint8Array();
  const body = Buffer.alloc(FIXED + (isMessage ? 2 + topic.length + payload.length : 0));
  body.writeUInt8(isMessage ? MESSAGE : DELIVERED, 0);
  body.writeBigUInt64BE(BigInt(record.number), 1);
  if (isMessage) {
    body.writeUInt16BE(topic.length, FIXED);
    topic.copy(body, FIXED + 2);
    body.set(payload, FIXED + 2 + topic.length);
  }
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([head, body]);
}

/** The record that begins at `offset` and where it ends; undefined where there is no whole one. */
export function decodeRecord(
  bytes: Buffer,
  offset: number,
): { readonly record: QueueRecord; readonly end: number } | undefined {
  if (bytes.length < offset + HEAD + FIXED) return undefined;
  const end = offset + HEAD + bytes.readUInt32BE(offset);
  if (end < offset + HEAD + FIXED || end > bytes.length) return undefined;
  const body = bytes.subarray(offset + HEAD, end);
  if (crc32(body) !== bytes.readUInt32BE(offset + 4)) return undefined;
  const number = Number(body.readBigUInt64BE(1));
  const kind = body.readUInt8(0);
  if (kind === DELIVERED) return { record: { kind: 'delivered', number }, end };
  if (kind !== MESSAGE || body.length < FIXED + 2) return undefined;
  const at = FIXED + 2 + body.readUInt16BE(FIXED);
  if (at > body.length) return undefined;
  const topic = body.toString('utf8', FIXED + 2, at);
  return { record: { kind: 'message', number, topic, payload: body.subarray(at) }, end };
}
