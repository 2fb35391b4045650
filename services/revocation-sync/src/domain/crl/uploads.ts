import { type Collection, insertIfAbsent } from '@signet/store';
import { z } from 'zod';
import { CrlRefused } from './judge-crl.ts';

/** A piece of a CRL that is being uploaded, through any replica. */
export const Piece = z.object({
  /** `<source>/<upload>/<index>`. */
  id: z.string(),
  /** Base64. */
  content: z.string(),
  /** Unix ms. */
  at: z.number(),
});
export type Piece = z.infer<typeof Piece>;
export type Pieces = Collection<Piece, 'byTime'>;

type PieceContext = { readonly pieces: Pieces; readonly now: () => number };

export async function addPiece(
  { pieces, now }: PieceContext,
  { upload, index, content }: { readonly upload: string; readonly index: number; readonly content: string },
): Promise<void> {
  const piece = { id: idOf(upload, index), content, at: now() };
  if (!(await insertIfAbsent(pieces, piece))) await pieces.update(piece.id, () => ({ document: piece }));
}

/** The pieces up to the last, in their order. @throws CrlRefused `malformed` where one is missing */
export async function* readPieces(
  { pieces }: Pick<PieceContext, 'pieces'>,
  { upload, last }: { readonly upload: string; readonly last: number },
): AsyncGenerator<Buffer> {
  for (let index = 0; index <= last; index++) {
    const piece = await pieces.get(idOf(upload, index));
    if (piece === undefined) throw new CrlRefused('malformed', `content: piece ${index} is missing`);
    yield Buffer.from(piece.content, 'base64');
  }
}

export async function removePieces(
  { pieces }: Pick<PieceContext, 'pieces'>,
  { upload, last }: { readonly upload: string; readonly last: number },
): Promise<void> {
  for (let index = 0; index <= last; index++) await pieces.remove(idOf(upload, index));
}

/** An upload that was begun this long ago is not finished any more, ms. */
const ABANDONED_MS = 3_600_000;

/** Removes pieces of uploads that were never finished. */
export async function removeAbandonedPieces({ pieces, now }: PieceContext): Promise<void> {
  const { items } = await pieces.find({ index: 'byTime', to: now() - ABANDONED_MS, limit: 1000 });
  for (const { id } of items) await pieces.remove(id);
}

function idOf(upload: string, index: number): string {
  return `${upload}/${String(index).padStart(4, '0')}`;
}
