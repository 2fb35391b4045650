import { decodeTime, encodeTime, NO_END } from '../der/time.ts';
import { toHex } from '../hex.ts';
import { PkiError } from '../pki-error.ts';
import { type CrlEntry, type CrlReason, crlReasons, ENUMERATED } from './crl.ts';

/** A certificate whose status changed: revoked, or off the list again (`removeFromCRL`). */
export type CrlChange = CrlEntry & {
  /** End of the certificate, Unix milliseconds: when its entry may leave (RFC 5280 §3.3). */
  readonly notAfter: number;
};

/** Entries as they lie in a CRL, one after the other, and the end of each certificate beside them. */
export type CrlSegment = {
  readonly der: Uint8Array;
  /** Unix seconds; `NEVER_ENDS` where there is no end, or one past what fits. */
  readonly ends: Uint32Array;
};

export const NEVER_ENDS = 0xffffffff;

/** Tag, length, serial number of at most 21 bytes, a time of at most 17, a reason of 14. */
const MAX_ENTRY_BYTES = 2 + 23 + 17 + 14;
const SERIAL_AT = 4;

/** Packs entries. Throws `malformed` for a serial number or a time that is none. */
export function encodeSegment(changes: readonly CrlChange[]): CrlSegment {
  const der = Buffer.allocUnsafeSlow(changes.length * MAX_ENTRY_BYTES);
  const ends = new Uint32Array(changes.length);
  let at = 0;
  for (const [i, change] of changes.entries()) {
    at = writeEntry(der, at, change);
    ends[i] = Math.min(NEVER_ENDS, Math.floor(change.notAfter / 1000));
  }
  return { der: der.subarray(0, at), ends };
}

function writeEntry(der: Buffer, start: number, { serialNumber, revokedAt, reason }: CrlEntry): number {
  const bytes = serialNumber.length / 2;
  if (!/^([0-9a-f]{2}){1,20}$/.test(serialNumber))
    throw new PkiError('malformed', `serialNumber: "${serialNumber}" is not 1 to 20 bytes in lower-case hex`);
  let at = start + SERIAL_AT;
  const sign = Number.parseInt(serialNumber[0] as string, 16) >= 8 ? 1 : 0;
  if (sign === 1) der[at] = 0;
  der.write(serialNumber, at + sign, 'hex');
  der[start + 2] = 0x02;
  der[start + 3] = bytes + sign;
  at += bytes + sign;
  const time = encodeTime(revokedAt);
  der.set(time, at);
  at += time.length;
  if (reason !== undefined && reason !== 'unspecified') {
    der.set(REASON_EXTENSION, at);
    at += REASON_EXTENSION.length;
    der[at - 1] = crlReasons[reason];
  }
  der[start] = 0x30;
  der[start + 1] = at - start - 2;
  return at;
}

/** Extensions of an entry with its reason, whose code is the last byte; "unspecified" is left out (RFC 5280 §5.3.1). */
const REASON_EXTENSION = Uint8Array.of(
  ...[0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, ENUMERATED, 0x01, 0x00],
);

/** Where an entry lies in a segment: whole from `start` to `end`, the bytes of its serial number from `serial`. */
export type EntryBounds = { start: number; end: number; serial: number; serialEnd: number };

/** Moves `bounds` to the entry that starts at its `end`; false where there is none. Reads what `encodeSegment` wrote. */
export function nextEntry(der: Uint8Array, bounds: EntryBounds): boolean {
  const start = bounds.end;
  if (start >= der.length) return false;
  const length = der[start + 1] as number;
  if (der[start] !== 0x30 || length >= 0x80 || der[start + 2] !== 0x02 || start + 2 + length > der.length)
    throw new PkiError('malformed', 'segment: something else than packed entries of a CRL');
  bounds.start = start;
  bounds.end = start + 2 + length;
  bounds.serialEnd = start + SERIAL_AT + (der[start + 3] as number);
  bounds.serial = start + (der[start + SERIAL_AT] === 0 && bounds.serialEnd > start + 5 ? 5 : SERIAL_AT);
  return true;
}

export const beforeFirst = (): EntryBounds => ({ start: 0, end: 0, serial: 0, serialEnd: 0 });

/** CRLReason of the entry within `bounds`. */
export function reasonCodeOf(der: Uint8Array, { serialEnd, end }: EntryBounds): number {
  const afterTime = serialEnd + 2 + (der[serialEnd + 1] as number);
  return afterTime === end ? 0 : (der[end - 1] as number);
}

/** What the entries of a segment say, as objects: for lists that are known to be short. */
export function decodeSegment({ der, ends }: CrlSegment): readonly CrlChange[] {
  const changes: CrlChange[] = [];
  const bounds = beforeFirst();
  for (let i = 0; nextEntry(der, bounds); i++) {
    const { serial, serialEnd } = bounds;
    const timeEnd = serialEnd + 2 + (der[serialEnd + 1] as number);
    const reason = reasonByCode.get(reasonCodeOf(der, bounds));
    const end = ends[i] ?? NEVER_ENDS;
    changes.push({
      serialNumber: toHex(der.subarray(serial, serialEnd)),
      revokedAt: decodeTime(der[serialEnd] as number, der, serialEnd + 2, timeEnd, 'revocationDate'),
      ...(reason === undefined ? {} : { reason }),
      notAfter: end === NEVER_ENDS ? NO_END : end * 1000,
    });
  }
  return changes;
}

const reasonByCode = new Map<number, CrlReason>(
  Object.entries(crlReasons).map(([reason, code]) => [code, reason as CrlReason]),
);

/** Entries by their bytes: tells what is new without making objects of them. */
export class EntrySet {
  readonly #entries = new Set<string>();

  add({ der }: CrlSegment): void {
    for (const bounds = beforeFirst(); nextEntry(der, bounds); ) this.#entries.add(octetsOf(der, bounds));
  }

  /** The entries of `segment` that are not in the set yet; they are from then on. */
  addNew({ der, ends }: CrlSegment): CrlSegment {
    const fresh: Uint8Array[] = [];
    const freshEnds: number[] = [];
    const bounds = beforeFirst();
    for (let i = 0; nextEntry(der, bounds); i++) {
      const bytes = octetsOf(der, bounds);
      if (this.#entries.has(bytes)) continue;
      this.#entries.add(bytes);
      fresh.push(der.subarray(bounds.start, bounds.end));
      freshEnds.push(ends[i] ?? NEVER_ENDS);
    }
    return { der: Buffer.concat(fresh), ends: Uint32Array.from(freshEnds) };
  }
}

/** The serial numbers that a complete CRL and the deltas after it list together (RFC 5280 §5.2.4). */
export class ListedSerials {
  readonly #serials = new Set<string>();

  /** Entries of a list that comes after what was added before. */
  add({ der }: CrlSegment): void {
    for (const bounds = beforeFirst(); nextEntry(der, bounds); ) {
      const serial = serialOf(der, bounds);
      if (reasonCodeOf(der, bounds) === crlReasons.removeFromCRL) this.#serials.delete(serial);
      else this.#serials.add(serial);
    }
  }

  /** The serial numbers, in hex, of entries that would change what is listed. */
  differing({ der }: CrlSegment): readonly string[] {
    const differing: string[] = [];
    for (const bounds = beforeFirst(); nextEntry(der, bounds); ) {
      const wanted = reasonCodeOf(der, bounds) !== crlReasons.removeFromCRL;
      if (this.#serials.has(serialOf(der, bounds)) !== wanted)
        differing.push(toHex(der.subarray(bounds.serial, bounds.serialEnd)));
    }
    return differing;
  }
}

function serialOf(der: Uint8Array, { serial, serialEnd }: EntryBounds): string {
  return Buffer.from(der.buffer, der.byteOffset + serial, serialEnd - serial).toString('latin1');
}

function octetsOf(der: Uint8Array, { start, end }: EntryBounds): string {
  return Buffer.from(der.buffer, der.byteOffset + start, end - start).toString('latin1');
}

/** Segments one after the other. */
export function joinSegments(segments: readonly CrlSegment[]): CrlSegment {
  const ends = new Uint32Array(segments.reduce((sum, segment) => sum + segment.ends.length, 0));
  let at = 0;
  for (const segment of segments) {
    ends.set(segment.ends, at);
    at += segment.ends.length;
  }
  return { der: Buffer.concat(segments.map(({ der }) => der)), ends };
}
