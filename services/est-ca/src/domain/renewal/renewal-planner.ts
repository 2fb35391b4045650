import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError } from '../enrollment/enrollment-error.ts';
import type { FindProfile } from '../profile/find-profile.ts';
import { parseLabel } from '../profile/label.ts';
import { dueAt } from './renewal-times.ts';
import { type Renewable, spreadRenewals } from './spread.ts';

/** Tells when a certificate is best renewed, Unix milliseconds. */
export type RenewalPlanner = { timeFor(record: CertificateRecord): Promise<number> };

/**
 * Plans the renewals of the whole fleet. A plan is made from the certificates in force when it is first asked for, and
 * made anew after `ttlMs`; replicas make the same one. What was issued since falls due by its own lifetime.
 */
export function renewalPlanner(deps: {
  readonly certificates: Pick<Certificates, 'find'>;
  readonly findProfile: FindProfile;
  /** Renewals in one second, of all accounts. */
  readonly perSecond: number;
  readonly ttlMs: number;
  readonly now: () => number;
}): RenewalPlanner {
  const { perSecond, ttlMs, now } = deps;
  let plan: { readonly madeAt: number; readonly times: Promise<ReadonlyMap<string, number>> } | undefined;
  const current = () => {
    if (plan === undefined || now() - plan.madeAt >= ttlMs) {
      const madeAt = now();
      const times = readFleet(deps, madeAt).then((fleet) =>
        spreadRenewals(fleet, { perSecond, from: madeAt }),
      );
      const made = { madeAt, times };
      plan = made;
      times.catch(() => {
        if (plan === made) plan = undefined;
      });
    }
    return plan.times;
  };
  return {
    async timeFor(record) {
      return (await current()).get(record.serialNumber) ?? (await dueTime(deps.findProfile, record));
    },
  };
}

async function readFleet(
  { certificates, findProfile }: Parameters<typeof renewalPlanner>[0],
  now: number,
): Promise<readonly Renewable[]> {
  const fleet: Renewable[] = [];
  const profiles = new Map<string, ReturnType<FindProfile>>();
  const cached: FindProfile = (label) => {
    const key = `${label.account}.${label.profile}`;
    const known = profiles.get(key) ?? findProfile(label);
    profiles.set(key, known);
    return known;
  };
  let cursor: string | undefined;
  do {
    const page = await certificates.find({
      index: 'ending',
      from: new Date(now).toISOString(),
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const record of page.items) {
      if (record.revokedAt !== undefined) continue;
      fleet.push({
        serialNumber: record.serialNumber,
        dueAt: await dueTime(cached, record),
        notAfter: Date.parse(record.notAfter),
      });
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return fleet;
}

async function dueTime(findProfile: FindProfile, record: CertificateRecord): Promise<number> {
  const lifetime = { notBefore: Date.parse(record.notBefore), notAfter: Date.parse(record.notAfter) };
  const label = parseLabel(record.profile) ?? { account: record.account, profile: 'default' };
  try {
    return dueAt(lifetime, await findProfile(label));
  } catch (error) {
    if (!(error instanceof EnrollmentError && error.code === 'unknown-profile')) throw error;
    return dueAt(lifetime, {});
  }
}
