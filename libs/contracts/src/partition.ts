/** Number of event partitions: `p0` to `p15`. */
export const PARTITIONS = 16;

/** The partition of a device's events: FNV-1a (32 bit) of `<account>/<device>`, modulo 16. */
export function partitionOf(account: string, device: string): number {
  const key = `${account}/${device}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}
