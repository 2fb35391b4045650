import type { Certificate } from '../certificate.ts';
import { TAG } from '../der/tags.ts';
import { encodeTime } from '../der/time.ts';
import { bitString, elementLength, owned, smallInteger, writeHeader } from '../der/writer.ts';
import { PkiError } from '../pki-error.ts';
import { encodeSignatureAlgorithm, hashOf } from '../signature-algorithm.ts';
import type { Signer } from '../signer/signer.ts';
import { verifySliced } from '../sliced.ts';
import type { CrlScope } from './crl.ts';
import { listExtensions } from './list-extensions.ts';
import { EntryMerger, type Merge, type Tbs } from './merge-entries.ts';
import { mergeInThread } from './merge-thread.ts';
import type { CrlSegment } from './segment.ts';

export type CrlFacts = {
  readonly issuer: Certificate;
  /** Holds the issuer's key. */
  readonly signer: Signer;
  /** Rises with every CRL of this issuer and scope, complete and delta alike (RFC 5280 §5.2.3). */
  readonly number: number;
  /** Unix milliseconds, as all times here; a CRL holds whole seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Makes it a delta: number of the complete CRL that it goes with (RFC 5280 §5.2.4). */
  readonly baseNumber?: number | undefined;
  /** Where the deltas of this complete CRL are (RFC 5280 §5.2.6). */
  readonly freshestUrls?: readonly string[] | undefined;
  /** Absent where it speaks of all certificates of the issuer. */
  readonly scope?: CrlScope | undefined;
};

export type CrlSource = Merge & {
  /** Entries of the CRL before. */
  readonly listed: AsyncIterable<CrlSegment>;
  /** Whether entries are merged in a worker thread: from some thousands on. */
  readonly inThread: boolean;
};

/** A signed CRL in parts; one after the other they are its DER. */
export type BuiltCrl = {
  readonly head: Uint8Array;
  readonly chunks: readonly CrlSegment[];
  readonly tail: Uint8Array;
  readonly entries: number;
  readonly bytes: number;
};

/**
 * Makes and signs a CRL, version 2 with authority key id and CRL number (RFC 5280 §5), from the entries of the one
 * before it and what has changed since. Throws `PkiError`: `not-issuable` where the issuer may not sign CRLs or the
 * times make no sense, `signer-failed` where the signer's key is not the issuer's, `malformed`.
 */
export async function buildCrl(facts: CrlFacts, source: CrlSource): Promise<BuiltCrl> {
  check(facts);
  const { issuer, signer } = facts;
  const algorithm = encodeSignatureAlgorithm(signer.algorithm);
  const before = owned(
    Buffer.concat([
      smallInteger(1),
      algorithm,
      issuer.subjectDer,
      encodeTime(facts.thisUpdate),
      encodeTime(facts.nextUpdate),
    ]),
  );
  const after = owned(listExtensions({ ...facts, issuerKeyId: issuer.subjectKeyId }));
  const { tbs, chunks, entries } = await merged(source, { before, after });

  const signature = await signed(signer, tbs);
  if (!(await verifySliced(hashOf(signer.algorithm), tbs, issuer.publicKey, signature)))
    throw new PkiError('signer-failed', 'signer: signed with another key than the issuer has');

  const tail = Buffer.concat([
    tbs.subarray(chunks.at(-1)?.end ?? tbs.length),
    algorithm,
    bitString(signature),
  ]);
  const listEnd = chunks.at(-1)?.end ?? tbs.length;
  const content = listEnd + tail.length;
  const outer = Buffer.alloc(elementLength(content) - content);
  writeHeader(outer, 0, TAG.SEQUENCE, content);
  return {
    head: Buffer.concat([outer, tbs.subarray(0, chunks[0]?.start ?? tbs.length)]),
    chunks: chunks.map(({ start, end, ends }) => ({ der: tbs.subarray(start, end), ends })),
    tail,
    entries,
    bytes: elementLength(content),
  };
}

function check({ issuer, number, thisUpdate, nextUpdate, baseNumber }: CrlFacts): void {
  if (issuer.keyUsage?.has('cRLSign') === false)
    throw new PkiError('not-issuable', 'issuer: its keyUsage does not allow it to sign CRLs');
  if (nextUpdate <= thisUpdate) throw new PkiError('not-issuable', 'nextUpdate: is not after thisUpdate');
  for (const [field, value] of Object.entries({ number, baseNumber }))
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0))
      throw new PkiError('malformed', `${field}: ${value} is not a whole number from 0`);
  if (baseNumber !== undefined && baseNumber > number)
    throw new PkiError('not-issuable', 'baseNumber: is above the number of the delta');
}

async function merged(
  { listed, inThread, ...merge }: CrlSource,
  parts: { readonly before: Uint8Array; readonly after: Uint8Array },
): Promise<Tbs> {
  if (inThread) return mergeInThread(merge, listed, parts);
  const merger = new EntryMerger(merge);
  for await (const segment of listed) merger.add(segment);
  return merger.finish(parts.before, parts.after);
}

async function signed(signer: Signer, tbs: Uint8Array): Promise<Uint8Array> {
  try {
    return await signer.sign(tbs);
  } catch (cause) {
    throw new PkiError('signer-failed', 'signer: it could not sign', { cause });
  }
}
