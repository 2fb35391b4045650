import { Account, DeviceId, newEvent, ProfileName, Time } from '@signet/contracts';
import { type Collection, type CollectionSpec, isDuplicate, StoreError } from '@signet/store';
import { z } from 'zod';
import type { CertificateRecord, Certificates } from '../certificate/certificate.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import { type FindProfile, type Label, labelOf, type Profile, parseLabel } from './profile.ts';

/** The profile that an operator moved a device to. Its id is `<account>/<device>`. */
export const DeviceProfile = z.object({
  id: z.string(),
  account: Account,
  deviceId: DeviceId,
  profile: ProfileName,
  /** Labels of the profiles that it was moved from: a client that always uses one of them goes on renewing. */
  from: z.array(z.string()),
  movedBy: z.string(),
  movedAt: Time,
  /** When the device was reset, given up or retired: from then on it is moved nowhere. */
  endedAt: Time.optional(),
});
export type DeviceProfile = z.infer<typeof DeviceProfile>;

/** Where operators moved devices, as the store keeps it. */
export type DeviceProfiles = Collection<DeviceProfile, 'profile'>;

export const deviceProfiles: CollectionSpec<DeviceProfile, 'profile'> = {
  name: 'est-ca.device-profiles',
  schema: DeviceProfile,
  indexes: { profile: { fields: ['account', 'profile', 'deviceId'] } },
};

const KEPT_LABELS = 16;

type Device = { readonly account: string; readonly deviceId: string };
type Moves = { readonly deviceProfiles: Pick<DeviceProfiles, 'get'> };

const idOf = ({ account, deviceId }: Device): string => `${account}/${deviceId}`;

/** Where an operator moved a device, as long as that holds. */
export async function moveOf({ deviceProfiles }: Moves, device: Device): Promise<DeviceProfile | undefined> {
  const move = await deviceProfiles.get(idOf(device));
  return move?.endedAt === undefined ? move : undefined;
}

/** The profile that a device is under, and the labels at which it may renew. */
export type ProfileInForce = { readonly profile: Profile; readonly labels: ReadonlySet<string> };

/**
 * The profile that a certificate is renewed under, whatever label the request names: where an operator moved the device,
 * or the one that issued the certificate; the account's default one where that was removed. The account's own label
 * names the account here, not its default profile: a client that knows one URL renews at it, under its device's profile.
 */
export async function profileInForce(
  deps: Moves & { readonly findProfile: FindProfile },
  record: Pick<CertificateRecord, 'account' | 'deviceId' | 'profile'>,
): Promise<ProfileInForce> {
  const { account } = record;
  const move = await moveOf(deps, record);
  const wanted = move?.profile ?? parseLabel(record.profile)?.profile ?? 'default';
  const profile = await deps.findProfile({ account, profile: wanted }).catch((error: unknown) => {
    if (!(error instanceof EnrollmentError && error.code === 'unknown-profile')) throw error;
    return deps.findProfile({ account, profile: 'default' });
  });
  return { profile, labels: new Set([account, record.profile, profile.id, ...(move?.from ?? [])]) };
}

/** @throws EnrollmentError `wrong-profile` where the label is that of another profile, `unknown-profile` of none */
export async function requireLabel(
  findProfile: FindProfile,
  { profile, labels }: ProfileInForce,
  label: Label | undefined,
): Promise<void> {
  if (label === undefined || labels.has(label.id)) return;
  await findProfile(label);
  throw new EnrollmentError(
    'wrong-profile',
    `label: "${label.id}" is another profile than "${profile.id}", which the device's certificate is of; renew at that label, or have an operator move the device (signet devices set-profile)`,
  );
}

/**
 * Moves a device to a profile: its next certificate is made under that one. Repeating it changes nothing.
 * @throws EnrollmentError `unknown-profile`, `unknown-device` where it never had a certificate
 */
export async function moveDevice(
  deps: {
    readonly deviceProfiles: Pick<DeviceProfiles, 'get' | 'insert' | 'update'>;
    readonly certificates: Pick<Certificates, 'find'>;
    readonly findProfile: FindProfile;
  },
  device: Device,
  move: { readonly profile: string; readonly by: string; readonly now: number },
): Promise<DeviceProfile> {
  const { account, deviceId } = device;
  await deps.findProfile({ account, profile: move.profile });
  const [latest] = (
    await deps.certificates.find({
      index: 'device',
      equals: { account, deviceId },
      descending: true,
      limit: 1,
    })
  ).items;
  if (latest === undefined)
    throw new EnrollmentError(
      'unknown-device',
      `deviceId: "${deviceId}" of account "${account}" never had a certificate`,
    );
  const to = labelOf(account, move.profile);
  const changeOf = (current: DeviceProfile | undefined) => {
    const inForce = current?.endedAt === undefined ? current : undefined;
    if (inForce?.profile === move.profile) return undefined;
    const from = inForce === undefined ? latest.profile : labelOf(account, inForce.profile);
    const document: DeviceProfile = {
      id: idOf(device),
      account,
      deviceId,
      profile: move.profile,
      from: [...new Set([...(inForce?.from ?? []), from])].slice(-KEPT_LABELS),
      movedBy: move.by,
      movedAt: new Date(move.now).toISOString(),
    };
    const event = newEvent('DEVICE_PROFILE_CHANGED', {
      account,
      subject: deviceId,
      time: move.now,
      data: { deviceId, from, to, by: move.by },
    });
    return { document, events: [event] };
  };
  for (;;) {
    try {
      return await deps.deviceProfiles.update(idOf(device), changeOf);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
    }
    const first = changeOf(undefined);
    if (first === undefined) throw new Error('a first move changes something');
    try {
      await deps.deviceProfiles.insert(first.document, first.events);
      return first.document;
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
  }
}

/** A device that was reset, given up or retired at `at` (Unix ms) starts anew: a move made after that stands. */
export async function endMove(
  deviceProfiles: Pick<DeviceProfiles, 'update'>,
  device: Device,
  cause: { readonly at: number; readonly eventId: string },
): Promise<void> {
  try {
    await deviceProfiles.update(
      idOf(device),
      (move) =>
        move.endedAt !== undefined || Date.parse(move.movedAt) > cause.at
          ? undefined
          : { document: { ...move, endedAt: new Date(cause.at).toISOString() } },
      { appliedEvent: cause.eventId },
    );
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'not-found')) throw error;
  }
}
