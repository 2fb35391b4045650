import { MessageHeader, type StoredMessage } from '../domain/session-record.ts';

/** `<expires> <octets> <header>\n<payload>`: what the scripts need comes first, in digits. */
export function encodeValue({ payload, ...header }: StoredMessage, expires: number): Buffer {
  const { seq: _, ...rest } = header as typeof header & { seq?: unknown };
  const at = Math.floor(Math.min(rest.expiresAt ?? Number.POSITIVE_INFINITY, expires));
  return Buffer.concat([Buffer.from(`${at} ${payload.length} ${JSON.stringify(rest)}\n`), payload]);
}

/** The inverse of {@link encodeValue}; `expires` in Unix milliseconds. */
export function decodeValue(value: Buffer): StoredMessage & { readonly expires: number } {
  const end = value.indexOf('\n');
  const head = value.toString('utf8', 0, end);
  const start = head.indexOf(' ', head.indexOf(' ') + 1) + 1;
  const header = MessageHeader.parse(JSON.parse(head.slice(start)));
  return { ...header, payload: value.subarray(end + 1), expires: Number.parseInt(head, 10) };
}
