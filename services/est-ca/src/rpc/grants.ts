import { OperationError } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { AuthorityDocument } from '../domain/authority/authority.ts';
import { readAuthorities, trustAnchors } from '../domain/authority/chains.ts';
import { EnrollmentError } from '../domain/est/enrollment-error.ts';
import { createGrant, type Grants } from '../domain/grant/grant.ts';
import { type DeviceProfiles, moveOf } from '../domain/profile/device-profile.ts';
import { type FindProfile, labelOf, parseLabel } from '../domain/profile/profile.ts';
import type { EstCaOperations } from './operations.ts';

/** Enrollment grants, made at the handoff of a device. */
export function grantOperations(deps: {
  readonly grants: Pick<Grants, 'get' | 'insert' | 'update'>;
  readonly authorities: Pick<Collection<AuthorityDocument, 'kind'>, 'find'>;
  readonly findProfile: FindProfile;
  readonly deviceProfiles: Pick<DeviceProfiles, 'get'>;
  readonly lifetimeMs: number;
  readonly now: () => number;
}) {
  return {
    async createGrant({ account, deviceId, fingerprint, identity, resetAt, profile: handedTo }) {
      const wanted = (await moveOf(deps, { account, deviceId }))?.profile ?? handedTo;
      const label = parseLabel(labelOf(account, wanted));
      if (label === undefined)
        throw new OperationError(
          'unknown-profile',
          `profile: "${labelOf(account, wanted)}" cannot be a label`,
          {
            field: 'profile',
          },
        );
      const profile = await findKnownProfile(deps.findProfile, label);
      const anchors = trustAnchors(await readAuthorities(deps.authorities), account);
      const { grant, secret } = await createGrant(deps.grants, {
        account,
        deviceId,
        profile: profile.name,
        fingerprint,
        identity,
        resetAt,
        lifetimeMs: deps.lifetimeMs,
        now: deps.now(),
      });
      return {
        label: profile.id,
        username: deviceId,
        grant: secret,
        expiresAt: grant.expiresAt,
        trustAnchors: [...anchors],
      };
    },
  } satisfies Partial<EstCaOperations>;
}

async function findKnownProfile(findProfile: FindProfile, label: Parameters<FindProfile>[0]) {
  try {
    return await findProfile(label);
  } catch (cause) {
    if (!(cause instanceof EnrollmentError)) throw cause;
    throw new OperationError('unknown-profile', cause.message, { field: 'profile', cause });
  }
}
