import type { AttestationCas } from '../attestation/attestation-ca.ts';
import type { DeviceProfiles } from './device-profile.ts';
import type { ProfileKey } from './keep-profiles.ts';

/** Devices that a message names; of more it says that there are. */
const NAMED = 3;

/** What names profiles besides certificates, which go on without theirs. */
export type ProfileUsers = {
  readonly deviceProfiles: Pick<DeviceProfiles, 'find'>;
  readonly attestationCas: Pick<AttestationCas, 'find'>;
  /** The profile that the account's devices are handed over to; `bootstrap` keeps it. */
  readonly handedOverTo: (account: string) => Promise<string | undefined>;
};

/** Who names a profile, in words for operators; empty where nobody does. */
export async function usersOf(deps: ProfileUsers, key: ProfileKey): Promise<readonly string[]> {
  const { account, name } = key;
  const [settings, devices, rules] = await Promise.all([
    deps.handedOverTo(account),
    movedTo(deps, key),
    ruledTo(deps, key),
  ]);
  const more = devices.length > NAMED ? ', …' : '';
  return [
    ...(settings === name ? ['the settings of the account'] : []),
    ...(devices.length === 0 ? [] : [`devices moved to it (${devices.slice(0, NAMED).join(', ')}${more})`]),
    ...rules.map((fingerprint) => `a rule of attestation CA ${fingerprint.slice(0, 16)}…`),
  ];
}

/** Devices that an operator moved to the profile, as long as that holds: one more than a message names, at most. */
async function movedTo({ deviceProfiles }: ProfileUsers, { account, name }: ProfileKey): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await deviceProfiles.find({
      ...{ index: 'profile', equals: { account, profile: name } },
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...page.items.filter(({ endedAt }) => endedAt === undefined).map(({ deviceId }) => deviceId));
    cursor = page.next;
  } while (cursor !== undefined && found.length <= NAMED);
  return found;
}

async function ruledTo({ attestationCas }: ProfileUsers, { account, name }: ProfileKey): Promise<string[]> {
  const { items } = await attestationCas.find({ index: 'account', equals: { account }, limit: 1000 });
  return items
    .filter(({ rules }) => rules.some(({ profile }) => profile === name))
    .map(({ fingerprint }) => fingerprint);
}
