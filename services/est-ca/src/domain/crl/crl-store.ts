import { Time } from '@signet/contracts';
import type { BuiltCrl, CrlSegment } from '@signet/pki';
import type { Collection, CollectionSpec } from '@signet/store';
import { z } from 'zod';

/** A published CRL. Its list of entries lies in chunks; with head and tail around it they are its DER. */
export const CrlFile = z.object({
  number: z.number().int().min(1),
  thisUpdate: Time,
  nextUpdate: Time,
  entries: z.number().int(),
  /** Bytes of its DER. */
  bytes: z.number().int(),
  /** Names its chunks. */
  token: z.string(),
  chunks: z.number().int(),
  /** Base64, as is `tail`. */
  head: z.string(),
  tail: z.string(),
});
export type CrlFile = z.infer<typeof CrlFile>;

/**
 * One step in the line of CRLs of a scope. Its id ends with its number, so that of all replicas one inserts it, on
 * whatever store; and it is always made from the entries of the step before it and what was revoked since: whatever a
 * replica reads or does not, a higher number never lists less, but for certificates that have ended or whose hold was
 * lifted.
 */
export const CrlState = z.object({
  /** `<scope>/<number in twelve digits>`. */
  id: z.string(),
  scopeId: z.string(),
  authorityId: z.string(),
  /** Of the CRL that was published last, complete or delta: they share one sequence (RFC 5280 §5.2.3). */
  number: z.number().int().min(1),
  /**
   * Where the next look for what is new begins, less an overlap: it spares reading all records, and nothing rests on it.
   * Clocks made it and the times of revocations; what it passes by is brought by its event, and by the comparison.
   */
  coveredUpTo: Time,
  /** When the list was last held against every record, and found whole. Absent: never. */
  comparedAt: Time.optional(),
  /** When the last complete CRL on schedule was made. */
  scheduledAt: Time,
  publishedAt: Time,
  complete: CrlFile,
  /** What changed since the complete CRL `baseNumber`. */
  delta: CrlFile.extend({ baseNumber: z.number().int().min(1) }),
});
export type CrlState = z.infer<typeof CrlState>;

export type CrlStates = Collection<CrlState, never>;
export const crlStates: CollectionSpec<CrlState, never> = {
  name: 'est-ca.crl-states',
  schema: CrlState,
  indexes: {},
};

export function crlStateId(scopeId: string, number: number): string {
  return `${scopeId}/${String(number).padStart(12, '0')}`;
}

/** The step that is in force. */
export async function latestState(
  states: Pick<CrlStates, 'find'>,
  scopeId: string,
): Promise<CrlState | undefined> {
  const { items } = await states.find({ prefix: `${scopeId}/`, descending: true, limit: 1 });
  return items[0];
}

/** Ids of the scopes of a CA that ever had a CRL. Ids of CAs hold none of `.`, `/` and what lies between. */
export async function knownScopes(
  states: Pick<CrlStates, 'find'>,
  authorityId: string,
): Promise<readonly string[]> {
  const scopeIds: string[] = [];
  for (let from = `${authorityId}.`; ; ) {
    const { items } = await states.find({ from, to: `${authorityId}0`, limit: 1 });
    const [first] = items;
    if (first === undefined) return scopeIds;
    scopeIds.push(first.scopeId);
    from = `${first.scopeId}0`;
  }
}

/** A part of a CRL's list. Its id is `<scope>/<token>/<number of the part>`. */
export const CrlChunk = z.object({
  id: z.string(),
  /** DER of whole entries, base64. */
  der: z.string(),
  /** When the certificates of these entries end: 32-bit Unix seconds, little-endian, base64. */
  ends: z.string(),
  createdAt: Time,
});
export type CrlChunk = z.infer<typeof CrlChunk>;

export type CrlChunks = Collection<CrlChunk, never>;
export const crlChunks: CollectionSpec<CrlChunk, never> = {
  name: 'est-ca.crl-chunks',
  schema: CrlChunk,
  indexes: {},
};

/** A file that another replica replaced and removed while it was read: read the state again. */
export class CrlGone extends Error {
  override readonly name = 'CrlGone';
}

/** Chunks of files that no state names were left by a process that died; they go when they are this old. */
const ORPHAN_MS = 3_600_000;

/** Keeps the parts of CRLs, none of them larger than half a MiB. */
export function crlFiles(chunks: CrlChunks, now: () => number) {
  const idOf = (scopeId: string, token: string, part: number) =>
    `${scopeId}/${token}/${String(part).padStart(5, '0')}`;

  async function* segments(
    scopeId: string,
    file: Pick<CrlFile, 'token' | 'chunks'>,
  ): AsyncGenerator<CrlSegment> {
    for (let part = 0; part < file.chunks; part++) {
      const id = idOf(scopeId, file.token, part);
      const chunk = await chunks.get(id);
      if (chunk === undefined) throw new CrlGone(`chunk ${id} is gone`);
      yield { der: Buffer.from(chunk.der, 'base64'), ends: endsFrom(chunk.ends) };
      await otherWork();
    }
  }

  async function remove(scopeId: string, file: Pick<CrlFile, 'token' | 'chunks'>): Promise<void> {
    for (let part = 0; part < file.chunks; part++) await chunks.remove(idOf(scopeId, file.token, part));
  }

  return {
    segments,
    remove,

    async store(scopeId: string, token: string, built: BuiltCrl): Promise<void> {
      const createdAt = new Date(now()).toISOString();
      for (const [part, { der, ends }] of built.chunks.entries()) {
        await chunks.insert({
          id: idOf(scopeId, token, part),
          der: base64(der),
          ends: base64(new Uint8Array(ends.buffer, ends.byteOffset, ends.byteLength)),
          createdAt,
        });
        await otherWork();
      }
    },

    /** The whole CRL. @throws CrlGone */
    async der(scopeId: string, file: CrlFile): Promise<Uint8Array> {
      const der = Buffer.allocUnsafeSlow(file.bytes);
      let at = der.write(file.head, 'base64');
      for await (const segment of segments(scopeId, file)) {
        der.set(segment.der, at);
        at += segment.der.length;
      }
      der.write(file.tail, at, 'base64');
      return der;
    },

    /** Removes what no file of `tokens` holds, nor can hold any more. */
    async sweep(scopeId: string, tokens: ReadonlySet<string>): Promise<void> {
      const before = new Date(now() - ORPHAN_MS).toISOString();
      let cursor: string | undefined;
      do {
        const page = await chunks.find({
          prefix: `${scopeId}/`,
          limit: 8,
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const { id, createdAt } of page.items)
          if (createdAt < before && !tokens.has(id.split('/')[1] ?? '')) await chunks.remove(id);
        cursor = page.next;
        await otherWork();
      } while (cursor !== undefined);
    },
  };
}

export type CrlFiles = ReturnType<typeof crlFiles>;

/** Lets the event loop turn: embedded stores answer without giving it up. */
export const otherWork = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Copied: a Uint32Array must lie on a boundary of four. */
function endsFrom(text: string): Uint32Array {
  return new Uint32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
}

type CrlGcDeps = {
  readonly files: Pick<CrlFiles, 'remove' | 'sweep'>;
  readonly states: Pick<CrlStates, 'find' | 'remove'>;
  readonly now: () => number;
};

/** What was replaced is kept so long for those who are reading it. */
const READING_MS = 60_000;

/** Removes the steps of a scope that nobody reads any more, with the files that only they name. */
export async function removeReplaced({ files, states, now }: CrlGcDeps, scopeId: string): Promise<void> {
  const last = await latestState(states, scopeId);
  if (last === undefined) return;
  const { items } = await states.find({ prefix: `${scopeId}/`, limit: 200 });
  const before = new Date(now() - READING_MS).toISOString();
  for (const [i, state] of items.entries()) {
    const next = items[i + 1];
    if (next === undefined || next.publishedAt >= before) return;
    const kept = new Set([next, last].flatMap(tokensOf));
    for (const file of [state.complete, state.delta])
      if (!kept.has(file.token)) await files.remove(scopeId, file);
    await states.remove(state.id);
  }
}

/** Removes what a process left that died before it could publish it. */
export async function removeOrphans({ files, states }: CrlGcDeps, scopeId: string): Promise<void> {
  const tokens = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await states.find({
      prefix: `${scopeId}/`,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const token of page.items.flatMap(tokensOf)) tokens.add(token);
    cursor = page.next;
  } while (cursor !== undefined);
  if (tokens.size > 0) await files.sweep(scopeId, tokens);
}

const tokensOf = ({ complete, delta }: CrlState): readonly string[] => [complete.token, delta.token];
