import { encodeOid } from './oid.ts';

/** OIDs that nearly every request and certificate holds: found by their bytes, no text is built for them. */
const common = [
  '2.5.4.3',
  '2.5.4.5',
  '2.5.4.6',
  '2.5.4.10',
  '2.5.4.11',
  '2.5.29.14',
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.31',
  '2.5.29.35',
  '2.5.29.37',
  '1.3.6.1.5.5.7.1.1',
  '1.3.6.1.5.5.7.3.1',
  '1.3.6.1.5.5.7.3.2',
  '1.3.6.1.5.5.7.48.1',
  '1.3.6.1.5.5.7.48.2',
  '1.2.840.10045.2.1',
  '1.2.840.10045.3.1.7',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.3.132.0.34',
  '1.3.101.112',
  '1.2.840.113549.1.1.1',
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.9.7',
  '1.2.840.113549.1.9.14',
];

type Known = { readonly octets: Uint8Array; readonly dotted: string };

const byHash: ReadonlyMap<number, Known> = new Map(
  common.map((dotted) => {
    const octets = encodeOid(dotted);
    return [fnv1a(octets, 0, octets.length), { octets, dotted }];
  }),
);

/** FNV-1a, 32 bits. */
function fnv1a(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash;
}

/** Dotted form of the OID whose content bytes are `start` to `end` of `bytes`, if it is a common one. */
export function knownOid(bytes: Uint8Array, start: number, end: number): string | undefined {
  const known = byHash.get(fnv1a(bytes, start, end));
  if (known === undefined || known.octets.length !== end - start) return undefined;
  for (let i = 0; i < known.octets.length; i++) if (known.octets[i] !== bytes[start + i]) return undefined;
  return known.dotted;
}
