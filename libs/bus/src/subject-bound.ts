import { MAX_SUBJECT_BYTES } from '@signet/contracts';
import { BusError } from './bus-error.ts';

/**
 * Asked before a subject reaches the wire, whoever made it: NATS answers one that is too long by closing the connection
 * of the whole process.
 * @throws BusError `too-large`
 */
export function requireShort(subject: string): void {
  // UTF-8 has at most three bytes for each unit of a string
  if (subject.length * 3 <= MAX_SUBJECT_BYTES) return;
  const bytes = Buffer.byteLength(subject);
  if (bytes <= MAX_SUBJECT_BYTES) return;
  const shown = subject.slice(0, 64);
  throw new BusError(
    'too-large',
    `subject: "${shown}…" has ${bytes} bytes, at most ${MAX_SUBJECT_BYTES} fit`,
  );
}
