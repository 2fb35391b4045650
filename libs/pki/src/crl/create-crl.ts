import { NO_END } from '../der/time.ts';
import { owned } from '../der/writer.ts';
import { buildCrl, type CrlFacts } from './build-crl.ts';
import type { CrlEntry } from './crl.ts';
import { encodeSegment } from './segment.ts';

export type CrlInput = CrlFacts & { readonly entries: readonly CrlEntry[] };

/** DER of a signed CRL of these entries; see {@link buildCrl}, which makes large ones from those before them. */
export async function createCrl({ entries, ...facts }: CrlInput): Promise<Uint8Array> {
  const { head, chunks, tail } = await buildCrl(facts, {
    listed: nothing(),
    changes: encodeSegment(entries.map((entry) => ({ ...entry, notAfter: NO_END }))),
    listRemovals: true,
    endedBefore: 0,
    inThread: false,
  });
  return owned(Buffer.concat([head, ...chunks.map(({ der }) => der), tail]));
}

async function* nothing() {}
