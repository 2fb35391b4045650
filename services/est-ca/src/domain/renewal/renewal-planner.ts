import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { otherWork } from '../crl/crl-store.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { type DeviceProfiles, profileInForce } from '../profile/device-profile.ts';
import { type FindProfile, parseLabel } from '../profile/profile.ts';
import { type Renewable, type Schedule, spreadRenewals } from './renewal-schedule.ts';
import { spreadDueAt } from './renewal-times.ts';

/** Tells when a certificate is best renewed, Unix milliseconds. */
export type RenewalPlanner = { timeFor(record: CertificateRecord): Promise<number> };

/** Reading the fleet must not become what the service does most: a plan holds for so many times as long as it took. */
const REST = 20;

/**
 * Plans the renewals of the whole fleet. A plan is made from the certificates in force when it is first asked for, and
 * made anew after `ttlMs`; replicas make the same one. It keeps counts, not certificates.
 */
export function renewalPlanner(deps: {
  readonly certificates: Pick<Certificates, 'find'>;
  readonly findProfile: FindProfile;
  readonly deviceProfiles: Pick<DeviceProfiles, 'get'>;
  /** Renewals in one second, of all accounts. */
  readonly perSecond: number;
  readonly ttlMs: number;
  readonly now: () => number;
}): RenewalPlanner {
  const { perSecond, now } = deps;
  let plan: { madeAt: number; ttlMs: number; schedule: Promise<Schedule> } | undefined;
  const current = () => {
    const age = plan === undefined ? Number.POSITIVE_INFINITY : now() - plan.madeAt;
    // a clock that was set back makes it one of the future
    if (plan === undefined || age < 0 || age >= plan.ttlMs) {
      const madeAt = now();
      const schedule = spreadRenewals(() => readFleet(deps, madeAt), { perSecond, from: madeAt });
      const made = { madeAt, ttlMs: deps.ttlMs, schedule };
      plan = made;
      schedule.then(
        () => {
          made.ttlMs = Math.max(deps.ttlMs, (now() - madeAt) * REST);
        },
        () => {
          if (plan === made) plan = undefined;
        },
      );
    }
    return plan.schedule;
  };
  return {
    async timeFor(record) {
      // one that an operator moved is few: the plan counts it where it was
      const { profile } = await profileInForce(deps, record);
      return (await current()).timeOf(await renewable(async () => profile, record));
    },
  };
}

async function* readFleet(
  { certificates, findProfile }: Parameters<typeof renewalPlanner>[0],
  now: number,
): AsyncGenerator<Renewable> {
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
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const record of page.items) if (record.revokedAt === undefined) yield renewable(cached, record);
    cursor = page.next;
    await otherWork();
  } while (cursor !== undefined);
}

async function renewable(findProfile: FindProfile, record: CertificateRecord): Promise<Renewable> {
  return {
    serialNumber: record.serialNumber,
    dueAt: await dueTime(findProfile, record),
    notAfter: Date.parse(record.notAfter),
  };
}

async function dueTime(findProfile: FindProfile, record: CertificateRecord): Promise<number> {
  const { serialNumber } = record;
  const lifetime = { notBefore: Date.parse(record.notBefore), notAfter: Date.parse(record.notAfter) };
  const label = parseLabel(record.profile) ?? { account: record.account, profile: 'default' };
  try {
    return spreadDueAt({ serialNumber, ...lifetime }, await findProfile(label));
  } catch (error) {
    if (!(error instanceof EnrollmentError && error.code === 'unknown-profile')) throw error;
    return spreadDueAt({ serialNumber, ...lifetime }, {});
  }
}
