import { newSerialNumber } from '@signet/pki';
import { StoreError } from '@signet/store';
import { type Grant, type Grants, grantId } from './grant.ts';
import { hashSecret, newSecret } from './secret.ts';

/** Makes the one live grant of a device; whatever grant it had before is void. The secret is not kept. */
export async function createGrant(
  grants: Pick<Grants, 'get' | 'insert' | 'update'>,
  wanted: {
    readonly account: string;
    readonly deviceId: string;
    readonly profile: string;
    readonly fingerprint: string;
    readonly identity?: string | undefined;
    readonly resetAt?: string | undefined;
    readonly lifetimeMs: number;
    readonly now: number;
  },
): Promise<{ readonly grant: Grant; readonly secret: string }> {
  const secret = newSecret();
  const grant: Grant = {
    id: grantId(wanted.account, wanted.deviceId),
    account: wanted.account,
    deviceId: wanted.deviceId,
    profile: wanted.profile,
    fingerprint: wanted.fingerprint,
    ...(wanted.identity === undefined ? {} : { identity: wanted.identity }),
    ...(wanted.resetAt === undefined ? {} : { resetAt: wanted.resetAt }),
    secretHash: hashSecret(secret),
    serialNumber: newSerialNumber(),
    createdAt: new Date(wanted.now).toISOString(),
    expiresAt: new Date(wanted.now + wanted.lifetimeMs).toISOString(),
  };
  await put(grants, grant);
  return { grant, secret };
}

/** Whichever write is the right one is tried first: one that fails costs a commit as well. */
async function put(grants: Pick<Grants, 'get' | 'insert' | 'update'>, grant: Grant): Promise<void> {
  const insert = () => grants.insert(grant);
  const replace = async () => void (await grants.update(grant.id, () => ({ document: grant })));
  const isThere = (await grants.get(grant.id)) !== undefined;
  try {
    await (isThere ? replace() : insert());
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== (isThere ? 'not-found' : 'duplicate')) throw error;
    await (isThere ? insert() : replace());
  }
}
