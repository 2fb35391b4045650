import { createVerify, verify } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Certificate } from '../certificate.ts';
import { DerReader } from '../der/reader.ts';
import { constructed, TAG } from '../der/tags.ts';
import { sequence } from '../der/writer.ts';
import { isSameName } from '../name-comparison.ts';
import { PkiError } from '../pki-error.ts';
import { hashOf, isKeyFor } from '../signature-algorithm.ts';
import type { CrlEntry } from './crl.ts';
import { type Crl, parseCrl, readEntry } from './parse-crl.ts';

/** Bytes read at a time, and so held, whatever the size of the list. */
const CHUNK = 256 * 1024;
/** The longest header of an element: tag, length of length, four bytes of length. */
const HEADER = 6;
/** What stands outside the entries is no longer than this. */
const MAX_ELEMENT = 64 * 1024;

/** All that a CRL says but its entries. */
export type CrlHead = Omit<Crl, 'tbsDer' | 'entries'>;

type Span = { readonly at: number; readonly end: number };
type Element = Span & { readonly tag: number; readonly contentAt: number };

/**
 * A CRL in a file, read in pieces: memory does not grow with the list. {@link CrlFile.open} reads what stands around the
 * entries; it says nothing about whether the list is to be trusted.
 */
export class CrlFile implements AsyncDisposable {
  readonly head: CrlHead;
  readonly #file: FileHandle;
  readonly #tbs: Span;
  readonly #entries: Span | undefined;

  private constructor(file: FileHandle, parts: { head: CrlHead; tbs: Span; entries: Span | undefined }) {
    this.#file = file;
    this.head = parts.head;
    this.#tbs = parts.tbs;
    this.#entries = parts.entries;
  }

  /** @throws PkiError `malformed`; `too-large` above `maxBytes` */
  static async open(path: string, maxBytes: number): Promise<CrlFile> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > maxBytes)
        throw new PkiError('too-large', `CRL: ${size} bytes, at most ${maxBytes} are read`);
      return new CrlFile(file, await readAround(file, size));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Whether `issuer` signed it under its own name, and may. Times are not looked at. */
  async isSignedBy(issuer: Certificate): Promise<boolean> {
    const { issuerDer, signatureAlgorithm, signature } = this.head;
    if (!isSameName(issuerDer, issuer.subjectDer)) return false;
    if (issuer.keyUsage?.has('cRLSign') === false) return false;
    const { name } = signatureAlgorithm;
    if (name === undefined || !isKeyFor(name, issuer.publicKey)) return false;
    const hash = hashOf(name);
    const { at, end } = this.#tbs;
    if (hash === null) return verify(null, await read(this.#file, at, end - at), issuer.publicKey, signature);
    const verifier = createVerify(hash);
    for (let from = at; from < end; from += CHUNK)
      verifier.update(await read(this.#file, from, Math.min(CHUNK, end - from)));
    return verifier.verify(issuer.publicKey, signature);
  }

  /**
   * Its entries, some thousands at a time. Whoever relies on them must have gone through all of them once.
   * @throws PkiError `malformed`, also for a critical extension of an entry that is not known
   */
  async *entries(): AsyncGenerator<readonly CrlEntry[]> {
    if (this.#entries === undefined) return;
    const { at, end } = this.#entries;
    const unknownCritical = new Set<string>();
    let rest: Uint8Array = Buffer.alloc(0);
    for (let from = at; from < end; from += CHUNK) {
      const chunk = await read(this.#file, from, Math.min(CHUNK, end - from));
      const bytes: Uint8Array = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const batch: CrlEntry[] = [];
      let used = 0;
      for (;;) {
        const header = headerOf(bytes, used);
        if (header === undefined || used + header.size + header.length > bytes.length) break;
        const next = used + header.size + header.length;
        const reader = DerReader.over(bytes.subarray(used, next), 'revokedCertificates');
        batch.push(readEntry(reader, unknownCritical));
        used = next;
      }
      rest = bytes.subarray(used);
      if (rest.length > MAX_ELEMENT) throw malformed('revokedCertificates: an entry is too long');
      const [oid] = unknownCritical;
      if (oid !== undefined) throw malformed(`revokedCertificates: critical extension ${oid} is not known`);
      yield batch;
    }
    if (rest.length > 0) throw malformed('revokedCertificates: the last entry is cut off');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

/** Reads what stands around the entries, and lets the strict reader of whole CRLs judge it as a CRL without any. */
async function readAround(file: FileHandle, size: number) {
  const outer = await elementAt(file, 0, size, 'CRL');
  if (outer.tag !== TAG.SEQUENCE || outer.end !== size) throw malformed('CRL: is not one SEQUENCE');
  const tbs = await elementAt(file, outer.contentAt, outer.end, 'tbsCertList');
  if (tbs.tag !== TAG.SEQUENCE) throw malformed('tbsCertList: is not a SEQUENCE');
  const around: Uint8Array[] = [];
  let entries: Span | undefined;
  let isAfterTimes = false;
  for (let at = tbs.contentAt; at < tbs.end; ) {
    const element = await elementAt(file, at, tbs.end, 'tbsCertList');
    if (isAfterTimes && element.tag === TAG.SEQUENCE && entries === undefined)
      entries = { at: element.contentAt, end: element.end };
    else around.push(await wholeElement(file, element));
    isAfterTimes ||= element.tag === TAG.UTC_TIME || element.tag === TAG.GENERALIZED_TIME;
    if (entries !== undefined && element.tag === constructed(0) && element.end !== tbs.end)
      throw malformed('tbsCertList: has more after its extensions');
    at = element.end;
  }
  const after: Uint8Array[] = [];
  for (let at = tbs.end; at < outer.end; ) {
    const element = await elementAt(file, at, outer.end, 'CRL');
    after.push(await wholeElement(file, element));
    at = element.end;
  }
  const { tbsDer: _, entries: none, ...head } = parseCrl(sequence(sequence(...around), ...after));
  if (none.length > 0) throw malformed('tbsCertList: its entries are not where they belong');
  return { head, tbs: { at: tbs.at, end: tbs.end }, entries };
}

async function elementAt(file: FileHandle, at: number, end: number, field: string): Promise<Element> {
  const bytes = await read(file, at, Math.min(HEADER, end - at));
  const header = headerOf(bytes, 0);
  if (header === undefined) throw malformed(`${field}: is cut off`);
  const contentAt = at + header.size;
  const elementEnd = contentAt + header.length;
  if (elementEnd > end) throw malformed(`${field}: is cut off`);
  return { tag: bytes[0] as number, at, contentAt, end: elementEnd };
}

async function wholeElement(file: FileHandle, { at, end }: Span): Promise<Uint8Array> {
  if (end - at > MAX_ELEMENT) throw malformed('CRL: something beside its entries is too long');
  return read(file, at, end - at);
}

/** Undefined where the bytes end before the header does. */
function headerOf(bytes: Uint8Array, at: number): { size: number; length: number } | undefined {
  if (at + 2 > bytes.length) return undefined;
  const first = bytes[at + 1] as number;
  if (first < 0x80) return { size: 2, length: first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw malformed('CRL: a length is not DER');
  if (at + 2 + count > bytes.length) return undefined;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] as number);
  if (length < 0x80 || length < 256 ** (count - 1)) throw malformed('CRL: a length is not DER');
  return { size: 2 + count, length };
}

async function read(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let got = 0; got < length; ) {
    const { bytesRead } = await file.read(bytes, got, length - got, at + got);
    if (bytesRead === 0) throw malformed('CRL: the file is cut off');
    got += bytesRead;
  }
  return bytes;
}

function malformed(message: string): PkiError {
  return new PkiError('malformed', message);
}
