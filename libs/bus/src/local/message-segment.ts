import type { Message } from '../bus.ts';

/** Bytes before a message's subject and payload: the length of each. */
const HEADER_BYTES = 6;
/** The longest subject: its length has two bytes. */
export const MAX_SUBJECT_BYTES = 0xffff;

/** Bytes of a message in a segment. Subjects are ASCII: levels are percent-encoded. */
export function segmentBytes({ subject, payload }: Message): number {
  return HEADER_BYTES + subject.length + payload.length;
}

/**
 * Messages as one row of the log holds them, one after the other: length of the subject (2 bytes), length of the
 * payload (4), both big-endian, then the two. `bytes` is the sum of their {@link segmentBytes}. It has memory of its
 * own, all of which goes to the writer thread.
 */
export function encodeSegment(messages: readonly Message[], bytes: number): Uint8Array {
  const segment = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const { subject, payload } of messages) {
    at = segment.writeUInt16BE(subject.length, at);
    at = segment.writeUInt32BE(payload.length, at);
    at += segment.write(subject, at, 'latin1');
    segment.set(payload, at);
    at += payload.length;
  }
  return segment;
}

/** The inverse of {@link encodeSegment}. */
export function decodeSegment(segment: Uint8Array): Message[] {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.byteLength);
  const messages: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const subjectAt = at + HEADER_BYTES;
    const payloadAt = subjectAt + bytes.readUInt16BE(at);
    const end = payloadAt + bytes.readUInt32BE(at + 2);
    messages.push({
      subject: bytes.toString('latin1', subjectAt, payloadAt),
      payload: bytes.subarray(payloadAt, end),
    });
    at = end;
  }
  return messages;
}
