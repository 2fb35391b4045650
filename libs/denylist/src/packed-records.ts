/** Bytes of a packed record: 16 of key, 4 of expiry (Unix seconds, big-endian, 0 for never). */
export const RECORD_OCTETS = 20;

/** "Never" as a table keeps it: 0 marks an empty slot there, so that it is the greatest number. */
export const NEVER = 0xffffffff;

/** An expiry as a table keeps it; what lies past 2106 is never too. */
export function storedExpiry(expiresAt: number): number {
  return expiresAt <= 0 || expiresAt >= NEVER ? NEVER : Math.floor(expiresAt);
}

/** Packs entries as `DenyTable.load` reads them. */
export function packRecords(
  entries: readonly { readonly key: string; readonly expiresAt: number }[],
): Uint8Array {
  const records = new Uint8Array(entries.length * RECORD_OCTETS);
  const view = new DataView(records.buffer);
  const words = new Uint32Array(4);
  entries.forEach(({ key, expiresAt }, index) => {
    readKey(key, words);
    words.forEach((part, i) => {
      view.setUint32(index * RECORD_OCTETS + i * 4, part);
    });
    const stored = storedExpiry(expiresAt);
    view.setUint32(index * RECORD_OCTETS + 16, stored === NEVER ? 0 : stored);
  });
  return records;
}

/** Reads a key of 32 lower-case hex digits into four words. @throws RangeError if it is none */
export function readKey(key: string, words: Uint32Array): void {
  let bad = key.length === 32 ? 0 : -1;
  for (let i = 0; i < 4; i++) {
    let part = 0;
    for (let at = i * 8; at < i * 8 + 8; at++) {
      const code = key.charCodeAt(at);
      const digit = code >= 97 && code <= 102 ? code - 87 : code >= 48 && code <= 57 ? code - 48 : -1;
      bad |= digit;
      part = (part << 4) | digit;
    }
    words[i] = part;
  }
  if (bad < 0) throw new RangeError(`key: "${key}" is not 32 lower-case hex digits`);
}
