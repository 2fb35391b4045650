import { AttestationError } from '../attestation-error.ts';

/** Longest structure that is read, in bytes. */
export const MAX_TPM_BYTES = 4096;

/**
 * Reads what a TPM marshals (TPM 2.0 Library, Part 2): big-endian integers and sized buffers, front to back, never past
 * the end. What it returns are copies.
 */
export class TpmReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @throws AttestationError `too-large` */
  constructor(bytes: Uint8Array, what: string, maxBytes: number = MAX_TPM_BYTES) {
    if (bytes.length > maxBytes)
      throw new AttestationError('too-large', `${what}: ${bytes.length} bytes, at most ${maxBytes} are read`);
    this.#bytes = bytes;
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws AttestationError `malformed` where fewer bytes are left */
  bytes(length: number, field: string): Uint8Array {
    if (length > this.left)
      throw this.malformed(field, `truncated: ${length} bytes expected, ${this.left} left`);
    const taken = Uint8Array.prototype.slice.call(this.#bytes, this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  u8(field: string): number {
    return this.#number(1, field);
  }

  u16(field: string): number {
    return this.#number(2, field);
  }

  u32(field: string): number {
    return this.#number(4, field);
  }

  u64(field: string): bigint {
    return (BigInt(this.u32(field)) << 32n) | BigInt(this.u32(field));
  }

  /** A TPM2B: its length in two bytes, then that many. @throws AttestationError `malformed` where it is above `max` */
  sized(field: string, max: number = MAX_TPM_BYTES): Uint8Array {
    const length = this.u16(field);
    if (length > max) throw this.malformed(field, `${length} bytes, at most ${max} are possible`);
    return this.bytes(length, field);
  }

  /** Refuses anything that has not been read. */
  finish(): void {
    if (this.left !== 0) throw this.malformed('end', `${this.left} bytes too many`);
  }

  malformed(field: string, reason: string): AttestationError {
    return new AttestationError('malformed', `${this.#what}: ${field}: ${reason}`);
  }

  #number(length: number, field: string): number {
    let value = 0;
    for (const byte of this.bytes(length, field)) value = value * 256 + byte;
    return value;
  }
}
