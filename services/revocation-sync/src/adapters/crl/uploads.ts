import type { Collection, CollectionSpec } from '@signet/store';
import { StoreError } from '@signet/store';
import { z } from 'zod';
import { CrlRefused } from '../../domain/crl/judge-crl.ts';

const Piece = z.object({
  /** `<source>/<upload>/<index>`. */
  id: z.string(),
  /** Base64. */
  content: z.string(),
  /** Unix ms. */
  at: z.number(),
});
type Piece = z.infer<typeof Piece>;

export const pieceRecords = {
  name: 'revocation-sync.crl-uploads',
  schema: Piece,
  indexes: { byTime: { fields: ['at'] } },
} satisfies CollectionSpec<Piece>;

/** Pieces of CRLs that are being uploaded, through any replica. */
export class Uploads {
  readonly #pieces: Collection<Piece, 'byTime'>;

  constructor(pieces: Collection<Piece, 'byTime'>) {
    this.#pieces = pieces;
  }

  async add(upload: string, index: number, content: string, now: number): Promise<void> {
    const piece = { id: idOf(upload, index), content, at: now };
    try {
      await this.#pieces.insert(piece);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
      await this.#pieces.update(piece.id, () => ({ document: piece }));
    }
  }

  /** The pieces up to the last, in their order. @throws CrlRefused `malformed` where one is missing */
  async *read(upload: string, last: number): AsyncGenerator<Buffer> {
    for (let index = 0; index <= last; index++) {
      const piece = await this.#pieces.get(idOf(upload, index));
      if (piece === undefined) throw new CrlRefused('malformed', `content: piece ${index} is missing`);
      yield Buffer.from(piece.content, 'base64');
    }
  }

  async remove(upload: string, last: number): Promise<void> {
    for (let index = 0; index <= last; index++) await this.#pieces.remove(idOf(upload, index));
  }

  /** Drops what was begun before `before` (Unix ms) and never finished. */
  async purge(before: number): Promise<void> {
    const { items } = await this.#pieces.find({ index: 'byTime', to: before, limit: 1000 });
    for (const { id } of items) await this.#pieces.remove(id);
  }
}

function idOf(upload: string, index: number): string {
  return `${upload}/${String(index).padStart(4, '0')}`;
}
