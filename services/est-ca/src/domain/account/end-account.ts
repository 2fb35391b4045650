import { type Authorities, type AuthorityDocument, changedEvent } from '../authority/authority.ts';
import { authoritiesOf } from '../authority/chains.ts';
import { type Certificates, isLive } from '../certificate/certificate.ts';
import { isOnHold, revokeCertificate } from '../certificate/revocation.ts';

const PAGE = 200;
const REASON = 'cessationOfOperation';

type Deps = {
  readonly certificates: Pick<Certificates, 'find' | 'update'>;
  readonly authorities: Pick<Authorities, 'find' | 'update'>;
  readonly now: () => number;
};

/**
 * Revokes all that an account was issued and all CAs that it has: first the certificates, then the CAs below roots, then
 * the roots. The records stay, and with them CRLs and OCSP, until the last of
 * them ends. What is revoked stays as it was revoked first, so the call may be repeated, and goes on where it was interrupted.
 */
export async function endAccount(deps: Deps, account: string, by: string): Promise<void> {
  await revokeCertificates(deps, account, by);
  const documents = await authoritiesOf(deps.authorities, account);
  const below = documents.filter(({ kind }) => kind !== 'root');
  for (const { id } of [...below, ...documents.filter(({ kind }) => kind === 'root')])
    await revokeAuthority(deps, id, by);
  // what was signed before the last of them was out of force
  await revokeCertificates(deps, account, by);
}

async function revokeCertificates(
  { certificates, now }: Pick<Deps, 'certificates' | 'now'>,
  account: string,
  by: string,
): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await certificates.find({
      index: 'device',
      equals: { account },
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const at = now();
    const live = page.items.filter((record) => isLive(record, at) || isOnHold(record));
    await Promise.all(live.map(({ id }) => revokeCertificate(certificates, id, { reason: REASON, by, at })));
    cursor = page.next;
  } while (cursor !== undefined);
}

async function revokeAuthority(
  { authorities, now }: Pick<Deps, 'authorities' | 'now'>,
  id: string,
  by: string,
): Promise<void> {
  await authorities.update(id, (current) => {
    if (current.state === 'revoked') return undefined;
    const { fallBack: _fallBack, ...rest } = current;
    const time = now();
    const reason = 'account deleted';
    const document: AuthorityDocument = {
      ...rest,
      ...{ state: 'revoked', stateSince: new Date(time).toISOString(), changedBy: by, reason },
      revocationReason: REASON,
    };
    const event = changedEvent(document, time, reason, { accountDeleted: true });
    return { document, events: [event] };
  });
}
