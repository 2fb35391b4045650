import { Account, DeviceId, PLATFORM_ACCOUNT, Time } from '@signet/contracts';
import type { VerifiedPeer } from '@signet/pki';
import { type Collection, type CollectionSpec, isDuplicate } from '@signet/store';
import { z } from 'zod';
import type { Authorities, AuthorityDocument } from '../authority/authority.ts';
import { caCertificates, readAuthorities } from '../authority/chains.ts';
import { pendingRoots } from '../authority/replacement.ts';
import { type Certificates, isLive } from '../certificate/certificate.ts';
import { type Grants, grantId } from '../grant/grant.ts';

/** Which of the roots that replace others a device has fetched. Its id is `<account>/<device>`. */
export const RootAdoption = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  roots: z.array(z.string()),
  at: Time,
});
export type RootAdoption = z.infer<typeof RootAdoption>;

export const rootAdoptions: CollectionSpec<RootAdoption, never> = {
  name: 'est-ca.anchor-adoptions',
  schema: RootAdoption,
  indexes: {},
};
type Adoptions = Collection<RootAdoption, never>;

/** Notes that a device, proven by its certificate, was given these roots. Writes only what is new. */
export async function noteAdoption(
  adoptions: Pick<Adoptions, 'get' | 'insert' | 'update'>,
  device: { readonly account: string; readonly deviceId: string },
  roots: readonly string[],
  now: number,
): Promise<void> {
  if (roots.length === 0) return;
  const id = grantId(device.account, device.deviceId);
  const at = new Date(now).toISOString();
  const known = await adoptions.get(id);
  if (known !== undefined && roots.every((root) => known.roots.includes(root))) return;
  if (known === undefined) {
    try {
      const { account, deviceId } = device;
      return await adoptions.insert({ id, account, deviceId, roots: [...roots], at });
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
  }
  await adoptions.update(id, (current) => ({
    document: { ...current, roots: [...new Set([...current.roots, ...roots])], at },
  }));
}

export type Adoption = {
  readonly adoption: { account: string; devices: number; adopted: number }[];
  readonly withoutCount: number;
  /** `<account>/<device>`; the first 1000. */
  readonly without: string[];
  /** Certificates of devices that are neither expired nor revoked, by the CA that signed them. */
  readonly live: ReadonlyMap<string, number>;
};

const SHOWN = 1000;

/**
 * Counts the devices that the root of `root.account` serves, by account. A device has the new root if it fetched the CA
 * certificates since with its certificate, or enrolled by a grant made since: the handoff carried the roots.
 */
export async function countAdoption(
  deps: {
    readonly certificates: Pick<Certificates, 'find' | 'get'>;
    readonly grants: Pick<Grants, 'get'>;
    readonly adoptions: Pick<Adoptions, 'get'>;
    readonly now: () => number;
  },
  root: AuthorityDocument,
): Promise<Adoption> {
  const since = root.replacement?.since ?? root.createdAt;
  const now = deps.now();
  const counts = new Map<string, { account: string; devices: number; adopted: number }>();
  const without: string[] = [];
  const live = new Map<string, number>();
  let withoutCount = 0;
  let last: string | undefined;
  let cursor: string | undefined;
  do {
    const page = await deps.certificates.find({
      index: 'device',
      ...(root.account === PLATFORM_ACCOUNT ? {} : { equals: { account: root.account } }),
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const record of page.items) {
      const { account, deviceId, authorityId } = record;
      const id = grantId(account, deviceId);
      if (!isLive(record, now)) continue;
      live.set(authorityId, (live.get(authorityId) ?? 0) + 1);
      // certificates of one device stand together
      if (id === last) continue;
      last = id;
      const count = counts.get(account) ?? { account, devices: 0, adopted: 0 };
      counts.set(account, count);
      count.devices++;
      if (await hasRoot(deps, id, root.id, since)) count.adopted++;
      else if (++withoutCount <= SHOWN) without.push(id);
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return { adoption: [...counts.values()], withoutCount, without, live };
}

async function hasRoot(
  { certificates, grants, adoptions }: Omit<Parameters<typeof countAdoption>[0], 'now'>,
  id: string,
  root: string,
  since: string,
): Promise<boolean> {
  if ((await adoptions.get(id))?.roots.includes(root) === true) return true;
  const grant = await grants.get(id);
  if (grant === undefined || grant.createdAt < since) return false;
  return (await certificates.get(grant.serialNumber)) !== undefined;
}

/**
 * DER of the CA certificates that devices of an account are given (RFC 7030 §4.1.3). While a root is replaced, it is
 * noted that the device which fetched them, known by its operational certificate, has the new one.
 */
export async function giveAnchors(
  deps: {
    readonly authorities: Pick<Authorities, 'find'>;
    readonly adoptions: Parameters<typeof noteAdoption>[0];
    readonly now: () => number;
  },
  account: string | undefined,
  peer: VerifiedPeer | undefined,
): Promise<readonly Uint8Array[]> {
  const documents = await readAuthorities(deps.authorities);
  if (peer?.purpose === 'operational' && peer.account !== undefined && !peer.expired) {
    const given = pendingRoots(documents, account ?? PLATFORM_ACCOUNT).map(({ id }) => id);
    const device = { account: peer.account, deviceId: peer.deviceId };
    await noteAdoption(deps.adoptions, device, given, deps.now());
  }
  return caCertificates(documents, account, deps.now());
}
