import { type EnrollmentProfile, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { Certificates } from '../domain/certificate/certificate.ts';
import type { DryRun } from '../domain/enrollment/dry-run.ts';
import { EnrollmentError } from '../domain/est/enrollment-error.ts';
import { type DeviceProfiles, moveDevice, moveOf } from '../domain/profile/device-profile.ts';
import {
  changeProfile,
  createProfile,
  type KeptProfile,
  listProfiles,
  type ProfileDeps,
  type ProfileUsers,
  removeProfile,
} from '../domain/profile/keep-profiles.ts';
import { type FindProfile, labelOf, type Profile, ProfileError } from '../domain/profile/profile.ts';
import type { EstCaOperations } from './operations.ts';

/** Enrollment profiles: made, listed, changed, removed and tried by operators. */
export function profileOperations(
  deps: ProfileDeps &
    ProfileUsers & {
      readonly dryRun: DryRun;
      readonly findProfile: FindProfile;
      readonly deviceProfiles: DeviceProfiles;
      readonly certificates: Pick<Certificates, 'find'>;
      readonly now: () => number;
    },
) {
  return {
    listProfiles: async ({ account }) => ({
      items: (await listProfiles(deps, account)).map(({ profile, stored }) =>
        enrollmentProfileOf(profile, stored),
      ),
    }),
    createProfile: ({ account, name, settings }) =>
      withOperationErrors(async () =>
        withShownSecrets(await createProfile(deps, { account, name }, settings)),
      ),
    changeProfile: ({ account, name, settings, newSecrets }) =>
      withOperationErrors(async () =>
        withShownSecrets(await changeProfile(deps, { account, name }, settings, { newSecrets })),
      ),
    removeProfile: ({ account, name }) =>
      withOperationErrors(async () => ({ removed: await removeProfile(deps, { account, name }) })),
    async getDeviceProfile({ account, deviceId }) {
      const move = await moveOf(deps, { account, deviceId });
      if (move === undefined) return {};
      const { profile, movedAt, movedBy } = move;
      return { move: { profile: labelOf(account, profile), movedAt, movedBy } };
    },
    setDeviceProfile: ({ account, deviceId, profile, by }) =>
      withOperationErrors(async () => {
        const move = { profile, by, now: deps.now() };
        const { movedAt, movedBy } = await moveDevice(deps, { account, deviceId }, move);
        return { account, deviceId, profile: labelOf(account, profile), movedAt, movedBy };
      }),
    dryRunProfile: (input) =>
      withOperationErrors(async () => {
        const { profile, stored, csrAttributes, refusals, certificate, ...rest } = await deps.dryRun(input);
        return {
          profile: enrollmentProfileOf(profile, stored),
          csrAttributes: Buffer.from(csrAttributes).toString('base64'),
          refusals: [...refusals],
          ...(certificate === undefined
            ? {}
            : { certificate: { ...certificate, subjectAltNames: [...certificate.subjectAltNames] } }),
          ...rest,
        };
      }),
  } satisfies Partial<EstCaOperations>;
}

function withShownSecrets({ profile, shown: secrets }: KeptProfile) {
  return { profile: enrollmentProfileOf(profile, true), ...secrets };
}

/** Never with its secrets. */
function enrollmentProfileOf(profile: Profile, stored: boolean): z.input<typeof EnrollmentProfile> {
  const { id: label, sharedSecretHash: _hash, webhookSecret: _secret, ...settings } = profile;
  return { ...settings, label, stored };
}

async function withOperationErrors<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (cause instanceof EnrollmentError && cause.code === 'unknown-profile')
      throw new OperationError(cause.code, cause.message, { field: 'profile', cause });
    if (cause instanceof EnrollmentError && cause.code === 'unknown-device')
      throw new OperationError(cause.code, cause.message, { field: 'deviceId', cause });
    if (!(cause instanceof ProfileError)) throw cause;
    throw new OperationError(cause.code, cause.message, {
      cause,
      ...(cause.field === undefined ? {} : { field: cause.field }),
    });
  }
}
