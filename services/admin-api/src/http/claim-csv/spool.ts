import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Problem } from '@signet/service';

/** A body that was received as a whole, on disk until it is disposed of. */
export type Spooled = AsyncDisposable & { read(): AsyncIterable<Uint8Array> };

/**
 * Puts a body on disk, so that a client may send all of it before it reads, and one whose connection breaks has nothing
 * done of it. @throws Problem 413 where it is longer than `maxBytes`
 */
export async function spool(
  body: AsyncIterable<Uint8Array>,
  { folder, maxBytes }: { readonly folder: string; readonly maxBytes: number },
): Promise<Spooled> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, randomUUID());
  const remove = () => rm(file, { force: true });
  try {
    let length = 0;
    const bounded = async function* () {
      for await (const chunk of body) {
        length += chunk.length;
        if (length > maxBytes) throw new Problem(413, 'too-large', `body: longer than ${maxBytes} bytes`);
        yield chunk;
      }
    };
    await pipeline(bounded, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    await remove();
    throw error;
  }
  return { read: () => createReadStream(file, { highWaterMark: 1 << 18 }), [Symbol.asyncDispose]: remove };
}
