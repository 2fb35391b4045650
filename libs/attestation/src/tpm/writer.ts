/** Marshals for a TPM (TPM 2.0 Library, Part 2). */
export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** A TPM2B: two bytes of length, then the content. */
export function sized(...parts: readonly Uint8Array[]): Uint8Array {
  const content = join(...parts);
  return join(u16(content.length), content);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
