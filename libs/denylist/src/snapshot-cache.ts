import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { CodedError } from '@signet/contracts';
import { writeWith } from '@signet/files';
import { DenyTable } from './deny-table.ts';
import { ListState } from './list-state.ts';
import { RECORD_OCTETS } from './packed-records.ts';

/** magic (8) · asOf in Unix ms (8) · number (8) · SHA-256 of number and records (32) · records */
const MAGIC = Buffer.from('SGDENY01', 'latin1');
const AS_OF_AT = 8;
const NUMBER_AT = 16;
const DIGEST_AT = 24;
const RECORDS_AT = 56;
const SLICES = 256;

export type CachedList = {
  readonly state: ListState;
  /** Unix ms at which nothing was missing from the list. */
  readonly asOf: number;
};

/** The last list, kept in a file, so that a listener may start while the authority is unavailable. */
export class SnapshotCache {
  readonly #file: string;
  #written: number | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** @returns undefined where there is no file. @throws CacheError if it is not what was written */
  async read(): Promise<CachedList | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#file);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    const records = bytes.subarray(RECORDS_AT);
    if (bytes.length < RECORDS_AT || !bytes.subarray(0, AS_OF_AT).equals(MAGIC))
      throw new CacheError('format', `${this.#file}: not a deny list`);
    const digest = createHash('sha256').update(bytes.subarray(NUMBER_AT, DIGEST_AT)).update(records).digest();
    if (!digest.equals(bytes.subarray(DIGEST_AT, RECORDS_AT)))
      throw new CacheError('digest', `${this.#file}: content does not match its digest`);
    const table = new DenyTable(records.byteLength / RECORD_OCTETS);
    table.load(records);
    const number = Number(bytes.readBigUInt64BE(NUMBER_AT));
    this.#written = number;
    return { state: new ListState(table, number), asOf: Number(bytes.readBigUInt64BE(AS_OF_AT)) };
  }

  /**
   * Keeps the list, replacing the file as a whole. Where the file has that number already, only its age is
   * renewed. The list may change meanwhile: it is written in slices, each with the changes up to `number` or more.
   */
  async write(state: ListState, asOf: number): Promise<void> {
    if (state.number === this.#written) return this.#renew(asOf);
    const header = Buffer.alloc(RECORDS_AT);
    MAGIC.copy(header);
    header.writeBigUInt64BE(BigInt(Math.floor(asOf)), AS_OF_AT);
    const { number } = state;
    header.writeBigUInt64BE(BigInt(number), NUMBER_AT);
    const digest = createHash('sha256').update(header.subarray(NUMBER_AT, DIGEST_AT));
    await writeWith(this.#file, async (file) => {
      await file.writeFile(header);
      const width = 2 ** 32 / SLICES;
      for (let slice = 0; slice < SLICES; slice++) {
        const records = state.table.packed(slice * width, (slice + 1) * width);
        if (records.byteLength === 0) continue;
        digest.update(records);
        await file.writeFile(records);
      }
      await file.write(digest.digest(), 0, 32, DIGEST_AT);
    });
    this.#written = number;
  }

  async #renew(asOf: number): Promise<void> {
    const file = await open(this.#file, 'r+');
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(Math.floor(asOf)));
    try {
      await file.write(bytes, 0, 8, AS_OF_AT);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

/** A cache file that cannot be used. */
export class CacheError extends CodedError<'format' | 'digest'> {}
