/**
 * A digest of a set of records that does not depend on their order: the XOR of a mix of each. A record is put in, and
 * taken out, by the same call. It tells apart tables that by some fault are not the same; it is no defence against
 * whoever may write the list, and need be none.
 */
export class TableDigest {
  #high = 0;
  #low = 0;

  toggle(a: number, b: number, c: number, d: number, expiry: number): void {
    let high = Math.imul(a ^ Math.imul(expiry, 0x9e3779b1), 0x85ebca6b);
    high = Math.imul(high ^ (high >>> 15) ^ b, 0xc2b2ae35);
    high = Math.imul(high ^ (high >>> 13) ^ c, 0x27d4eb2f);
    high = Math.imul(high ^ (high >>> 16) ^ d, 0x165667b1);
    this.#high ^= high ^ (high >>> 15);
    let low = Math.imul(d ^ Math.imul(expiry, 0x85ebca77), 0xc2b2ae3d);
    low = Math.imul(low ^ (low >>> 15) ^ c, 0x9e3779b1);
    low = Math.imul(low ^ (low >>> 13) ^ b, 0x27d4eb2f);
    low = Math.imul(low ^ (low >>> 16) ^ a, 0x85ebca6b);
    this.#low ^= low ^ (low >>> 15);
  }

  /** 16 lower-case hex digits. */
  toString(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }
}
