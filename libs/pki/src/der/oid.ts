import { PkiError } from '../pki-error.ts';

/** The longest arc there is a use for: a UUID below 2.25 (ITU-T X.667). */
const MAX_ARC = (1n << 128n) - 1n;

/** Dotted form of an OBJECT IDENTIFIER's content bytes, `start` to `end` of `bytes` (X.690 §8.19). Arcs beyond 2^128 are refused. */
export function decodeOid(bytes: Uint8Array, start: number, end: number, field: string): string {
  if (start === end) throw new PkiError('malformed', `${field}: an empty OBJECT IDENTIFIER`);
  let text = '';
  let arc = 0;
  let large: bigint | undefined;
  let atStart = true;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number;
    if (atStart && octet === 0x80)
      throw new PkiError('malformed', `${field}: an OBJECT IDENTIFIER arc with leading zeros`);
    if (large !== undefined) large = large * 128n + BigInt(octet & 0x7f);
    else if (arc * 128 + 127 > Number.MAX_SAFE_INTEGER) large = BigInt(arc) * 128n + BigInt(octet & 0x7f);
    else arc = arc * 128 + (octet & 0x7f);
    if (large !== undefined && large > MAX_ARC)
      throw new PkiError('malformed', `${field}: an OBJECT IDENTIFIER arc that is too large`);
    atStart = octet < 0x80;
    if (!atStart) continue;
    if (text !== '') text += `.${large ?? arc}`;
    else if (large !== undefined) text = `2.${large - 80n}`;
    else if (arc < 80) text = `${arc < 40 ? 0 : 1}.${arc % 40}`;
    else text = `2.${arc - 80}`;
    arc = 0;
    large = undefined;
  }
  if (!atStart) throw new PkiError('malformed', `${field}: a truncated OBJECT IDENTIFIER`);
  return text;
}

/** Content bytes of a dotted OBJECT IDENTIFIER. */
export function encodeOid(dotted: string): Uint8Array {
  if (!/^\d+(\.\d+)+$/.test(dotted)) throw new PkiError('malformed', `"${dotted}": not an OBJECT IDENTIFIER`);
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const octets: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const groups = [Number(arc % 128n)];
    for (let left = arc / 128n; left > 0n; left /= 128n) groups.unshift(Number(left % 128n) | 0x80);
    octets.push(...groups);
  }
  return Uint8Array.from(octets);
}
