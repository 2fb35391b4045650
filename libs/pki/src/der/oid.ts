import { PkiError } from '../pki-error.ts';

/** Dotted form of an OBJECT IDENTIFIER's content octets, `start` to `end` of `bytes` (X.690 §8.19). Arcs beyond 2^53 are refused. */
export function decodeOid(bytes: Uint8Array, start: number, end: number, field: string): string {
  if (start === end) throw new PkiError('malformed', `${field}: an empty OBJECT IDENTIFIER`);
  let text = '';
  let arc = 0;
  let atStart = true;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number;
    if (atStart && octet === 0x80)
      throw new PkiError('malformed', `${field}: an OBJECT IDENTIFIER arc with leading zeros`);
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER)
      throw new PkiError('malformed', `${field}: an OBJECT IDENTIFIER arc that is too large`);
    atStart = octet < 0x80;
    if (!atStart) continue;
    if (text !== '') text += `.${arc}`;
    else if (arc < 80) text = `${arc < 40 ? 0 : 1}.${arc % 40}`;
    else text = `2.${arc - 80}`;
    arc = 0;
  }
  if (!atStart) throw new PkiError('malformed', `${field}: a truncated OBJECT IDENTIFIER`);
  return text;
}

/** Content octets of a dotted OBJECT IDENTIFIER. */
export function encodeOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    if (!Number.isSafeInteger(arc) || arc < 0)
      throw new PkiError('malformed', `"${dotted}": not an OBJECT IDENTIFIER`);
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80);
    octets.push(...groups);
  }
  return Uint8Array.from(octets);
}
