import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { buildCrl, type CrlSegment, encodeSegment } from '@signet/pki';
import { crlStateId } from '../../services/est-ca/src/domain/crl/crl-store.ts';
import { DAY_MS, openFixture } from './fixture.ts';

/** Leaves in the store what a service leaves that has revoked so many certificates: `seed.ts <folder> <entries> <now>`. */
const [folder = '', count = '0', time = '0'] = process.argv.slice(2);
const entries = Number(count);
/** The schedule is due now. */
const madeAt = Number(time) - DAY_MS / 2;
const fixture = await openFixture(folder, () => madeAt);

/** One of a hundred has ended since: it was listed past its end, and leaves. */
async function* revoked(): AsyncGenerator<CrlSegment> {
  const all = entries + Math.floor(entries / 100);
  for (let from = 0; from < all; from += 1000) {
    yield encodeSegment(
      Array.from({ length: Math.min(1000, all - from) }, (_, i) => ({
        serialNumber: (from + i < entries ? '5a' : '5b') + randomBytes(15).toString('hex'),
        revokedAt: madeAt - (from + i),
        reason: 'superseded' as const,
        notAfter: from + i < entries ? madeAt + 60 * DAY_MS : madeAt - DAY_MS,
      })),
    );
  }
}

const facts = {
  issuer: fixture.authority.certificate,
  signer: fixture.authority.signer,
  number: 1,
  thisUpdate: madeAt,
  nextUpdate: madeAt + DAY_MS,
};
const changes = encodeSegment([]);
const merge = { changes, listRemovals: false, endedBefore: 0, inThread: false };
const file = async (listed: AsyncIterable<CrlSegment>, token: string, baseNumber?: number) => {
  const built = await buildCrl({ ...facts, baseNumber }, { ...merge, listed });
  await fixture.files.store('bench', token, built);
  return {
    number: 1,
    thisUpdate: new Date(madeAt).toISOString(),
    nextUpdate: new Date(madeAt + DAY_MS).toISOString(),
    entries: built.entries,
    bytes: built.bytes,
    token,
    chunks: built.chunks.length,
    head: Buffer.from(built.head).toString('base64'),
    tail: Buffer.from(built.tail).toString('base64'),
  };
};
async function* none() {}
await fixture.states.insert({
  id: crlStateId('bench', 1),
  scopeId: 'bench',
  authorityId: 'bench',
  number: 1,
  coveredUpTo: new Date(madeAt).toISOString(),
  scheduledAt: new Date(madeAt).toISOString(),
  publishedAt: new Date(madeAt).toISOString(),
  complete: await file(revoked(), 'seed'),
  delta: { ...(await file(none(), 'seed-delta', 1)), baseNumber: 1 },
});
await fixture.store[Symbol.asyncDispose]();
