import type { BuiltCrl, CrlSegment } from '@signet/pki';
import type { CrlChunks, CrlFile } from './crl-state.ts';

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
