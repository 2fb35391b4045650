/** Number of event partitions: `p0` to `p15`. */
export const PARTITIONS = 16;

/** The partition of a device's events: FNV-1a (32 bit) of `<account>/<device>`, mixed, modulo 16. */
export function partitionOf(account: string, device: string): number {
  const key = `${account}/${device}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  // the low bits of FNV-1a alone follow the last characters too closely: ids in a row would share partitions
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % PARTITIONS;
}
