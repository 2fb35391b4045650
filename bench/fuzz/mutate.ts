/** Whole numbers below `bound`, the same for the same seed (mulberry32). */
export type Random = (bound: number) => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

const at = (bytes: Buffer, random: Random) => random(Math.max(1, bytes.length));

/** Ways to spoil DER: bits, bytes, lengths, tags, pieces missing, doubled or from another request. */
const mutations: readonly Mutation[] = [
  (bytes, random) => {
    bytes[at(bytes, random)] = random(256);
    return bytes;
  },
  (bytes, random) => {
    const place = at(bytes, random);
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random(8));
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, at(bytes, random)),
  (bytes, random) => Buffer.concat([bytes, Buffer.alloc(1 + random(8), random(256))]),
  (bytes, random) => {
    const place = at(bytes, random);
    const piece = Buffer.from(Array.from({ length: 1 + random(4) }, () => random(256)));
    return Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
  },
  (bytes, random) => {
    const place = at(bytes, random);
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1 + random(16))]);
  },
  (bytes, random) => {
    const place = at(bytes, random);
    const piece = bytes.subarray(place, place + 1 + random(64));
    return Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
  },
  (bytes, random) => {
    bytes[at(bytes, random)] = [0x80, 0x81, 0x82, 0x84, 0x88, 0xff][random(6)] ?? 0;
    return bytes;
  },
  (bytes, random) => {
    bytes[at(bytes, random)] = [0x30, 0x31, 0x24, 0x06, 0x02, 0x03, 0xa0, 0xbf][random(8)] ?? 0;
    return bytes;
  },
  (bytes, random, other) => {
    const place = at(bytes, random);
    return Buffer.concat([bytes.subarray(0, place), other.subarray(Math.min(place, other.length))]);
  },
];

/** A malformed copy; now and then one that is not malformed. */
export function mutate(seed: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes: Buffer = Buffer.from(seed);
  for (let left = random(4); left > 0; left--)
    bytes = (mutations[random(mutations.length)] as Mutation)(bytes, random, Buffer.from(other));
  return new Uint8Array(bytes);
}
