import { type EnrollmentProfile, OperationError } from '@signet/contracts';
import type { z } from 'zod';
import type { DryRun } from '../domain/enrollment/dry-run.ts';
import {
  changeProfile,
  createProfile,
  type KeptProfile,
  listProfiles,
  type ProfileDeps,
  removeProfile,
} from '../domain/profile/keep-profiles.ts';
import type { Profile } from '../domain/profile/profile.ts';
import { ProfileError } from '../domain/profile/profile-error.ts';
import type { EstCaOperations } from './operations.ts';

/** Enrollment profiles: made, listed, changed, removed and tried by operators. */
export function profileOperations(
  deps: ProfileDeps & { readonly dryRun: DryRun },
): Pick<
  EstCaOperations,
  'listProfiles' | 'createProfile' | 'changeProfile' | 'removeProfile' | 'dryRunProfile'
> {
  return {
    listProfiles: async ({ account }) => ({
      items: (await listProfiles(deps, account)).map(({ profile, stored }) => described(profile, stored)),
    }),
    createProfile: ({ account, name, settings }) =>
      typed(async () => shown(await createProfile(deps, { account, name }, settings))),
    changeProfile: ({ account, name, settings, newSecrets }) =>
      typed(async () => shown(await changeProfile(deps, { account, name }, settings, { newSecrets }))),
    removeProfile: ({ account, name }) =>
      typed(async () => ({ removed: await removeProfile(deps, { account, name }) })),
    dryRunProfile: (input) =>
      typed(async () => {
        const { profile, stored, csrAttributes, refusals, certificate, ...rest } = await deps.dryRun(input);
        return {
          profile: described(profile, stored),
          csrAttributes: Buffer.from(csrAttributes).toString('base64'),
          refusals: [...refusals],
          ...(certificate === undefined
            ? {}
            : { certificate: { ...certificate, subjectAltNames: [...certificate.subjectAltNames] } }),
          ...rest,
        };
      }),
  };
}

function shown({ profile, shown: secrets }: KeptProfile) {
  return { profile: described(profile, true), ...secrets };
}

/** Never with its secrets. */
function described(profile: Profile, stored: boolean): z.input<typeof EnrollmentProfile> {
  const { id: label, sharedSecretHash: _hash, webhookSecret: _secret, ...settings } = profile;
  return { ...settings, label, stored };
}

async function typed<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof ProfileError)) throw cause;
    throw new OperationError(cause.code, cause.message, {
      cause,
      ...(cause.field === undefined ? {} : { field: cause.field }),
    });
  }
}
