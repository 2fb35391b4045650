import { createHash } from 'node:crypto';
import { newEvent } from '@signet/contracts';
import { createCrl } from '@signet/pki';
import type { Collection } from '@signet/store';
import { StoreError } from '@signet/store';
import type { HeldAuthority } from '../authority/ring.ts';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import type { CrlState } from './crl-state.ts';

export type CrlDeps = {
  readonly certificates: Pick<Certificates, 'find'>;
  readonly states: Pick<Collection<CrlState, never>, 'get' | 'insert' | 'update'>;
  /** From thisUpdate to nextUpdate. */
  readonly lifetimeMs: number;
  readonly now: () => number;
};

/**
 * The complete CRL of a CA, in DER. It gets a new number when what it lists has changed, or at half of its life;
 * any replica may give it, and only one of those that try at once does.
 */
export async function publishCrl(deps: CrlDeps, authority: HeldAuthority): Promise<Uint8Array> {
  for (;;) {
    const before = await deps.states.get(authority.document.id);
    const now = deps.now();
    const revoked = await revokedCertificates(deps, authority.document.id, now);
    const state = await advance(deps, authority, before, revoked, now);
    if (state === undefined) continue;
    return createCrl({
      issuer: authority.certificate,
      signer: authority.signer,
      number: state.number,
      thisUpdate: Date.parse(state.thisUpdate),
      nextUpdate: Date.parse(state.nextUpdate),
      entries: revoked.map(({ serialNumber, revokedAt = state.thisUpdate, revocationReason }) => ({
        serialNumber,
        revokedAt: Date.parse(revokedAt),
        ...(revocationReason === undefined ? {} : { reason: revocationReason }),
      })),
    });
  }
}

/** An entry stays until a CRL has listed it past the certificate's end (RFC 5280 §5.2). */
async function revokedCertificates(
  deps: CrlDeps,
  authorityId: string,
  now: number,
): Promise<readonly CertificateRecord[]> {
  const revoked: CertificateRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await deps.certificates.find({
      index: 'revoked',
      equals: { authorityId },
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    revoked.push(...page.items.filter(({ notAfter }) => Date.parse(notAfter) > now - deps.lifetimeMs));
    cursor = page.next;
  } while (cursor !== undefined);
  return revoked;
}

/** Undefined where another replica was first: what it listed may be more than was read here. */
async function advance(
  deps: CrlDeps,
  { document: { id, account } }: HeldAuthority,
  before: CrlState | undefined,
  revoked: readonly CertificateRecord[],
  now: number,
): Promise<CrlState | undefined> {
  const content = contentOf(revoked);
  const due = before === undefined ? now : Date.parse(before.thisUpdate) + deps.lifetimeMs / 2;
  if (before !== undefined && before.content === content && now < due) return before;
  const next: CrlState = {
    id,
    number: (before?.number ?? 0) + 1,
    content,
    entries: revoked.length,
    thisUpdate: new Date(now).toISOString(),
    nextUpdate: new Date(now + deps.lifetimeMs).toISOString(),
  };
  const { number, entries, thisUpdate, nextUpdate } = next;
  const published = newEvent('CRL_PUBLISHED', {
    account,
    subject: id,
    time: now,
    data: { authorityId: id, number, entries, thisUpdate, nextUpdate, delta: false },
  });
  if (before === undefined) {
    try {
      await deps.states.insert(next, [published]);
      return next;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'duplicate') return undefined;
      throw error;
    }
  }
  let won = false;
  await deps.states.update(id, (current) => {
    won = current.number === before.number;
    return won ? { document: next, events: [published] } : undefined;
  });
  return won ? next : undefined;
}

function contentOf(revoked: readonly CertificateRecord[]): string {
  const hash = createHash('sha256');
  for (const { serialNumber, revokedAt, revocationReason } of revoked)
    hash.update(`${serialNumber} ${revokedAt} ${revocationReason}\n`);
  return hash.digest('hex');
}
