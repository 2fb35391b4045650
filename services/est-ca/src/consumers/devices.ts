import type { Bus } from '@signet/bus';
import type { SignetEvent } from '@signet/contracts';
import { type Requests, voidRequests } from '../domain/approval/enrollment-request.ts';
import { type DeviceTpms, forgetTpm } from '../domain/attestation/tpm-records.ts';
import type { Certificates } from '../domain/certificate/certificate.ts';
import { renewedBy, revokeDevice, supersededBy } from '../domain/certificate/revocation.ts';
import { type Grants, voidGrant } from '../domain/grant/grant.ts';
import { type DeviceProfiles, endMove } from '../domain/profile/device-profile.ts';
import { endRenewalGrant, type RenewalGrants } from '../domain/renewal/renewal-orders.ts';

type Deps = {
  readonly grants: Pick<Grants, 'update'>;
  readonly certificates: Certificates;
  readonly deviceProfiles: Pick<DeviceProfiles, 'update'>;
  readonly renewalGrants: Pick<RenewalGrants, 'update'>;
  readonly requests: Pick<Requests, 'find' | 'remove'>;
  readonly deviceTpms: Pick<DeviceTpms, 'remove'>;
  readonly now: () => number;
};

/** Follows what happens to devices elsewhere. Every effect is idempotent: what is revoked stays as it was revoked first. */
export async function consumeDeviceEvents(bus: Pick<Bus, 'consume'>, deps: Deps): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const follow = (event: SignetEvent) => handle(deps, event);
  stack.use(
    await bus.consume(
      {
        durable: 'est-ca-devices',
        types: ['DEVICE_PUBKEY_CHANGE', 'DEVICE_RETIRED', 'DEVICE_BLOCKED', 'DEVICE_RESET'],
      },
      follow,
    ),
  );
  stack.use(await bus.consume({ durable: 'est-ca-contacts', types: ['DEVICE_SEEN'] }, follow));
  return stack.move();
}

async function handle(deps: Deps, event: SignetEvent): Promise<void> {
  switch (event.type) {
    case 'DEVICE_PUBKEY_CHANGE':
      return supersede(deps, event);
    case 'DEVICE_SEEN':
      return supersedeRenewed(deps, event);
    case 'DEVICE_RETIRED':
      await endLeaves(deps, deviceOf(event), event, 'device retired');
      await revokeDevice(
        deps.certificates,
        deviceOf(event),
        { reason: 'cessationOfOperation', by: event.data.by, at: deps.now() },
        // the event may come late: a registration looks itself whether the device is out, and what it gave since stays
        ({ enteredBy, issuedAt }) => enteredBy !== 'registration' || issuedAt <= event.time,
      );
      return;
    case 'DEVICE_RESET':
      return startAnew(deps, event);
    case 'DEVICE_BLOCKED':
      return voidGrant(deps.grants, deviceOf(event), { reason: 'device blocked', ...causeOf(event) });
  }
}

/** The event's account is the factory's where the device was claimed by another; `data` then names its owner. */
function deviceOf(event: SignetEvent<'DEVICE_RETIRED' | 'DEVICE_BLOCKED'>) {
  return { account: event.data.account ?? event.account, deviceId: event.data.deviceId };
}

/** What it had is void. What it was given since is not: the event may come late (F67). */
async function startAnew(deps: Deps, event: SignetEvent<'DEVICE_RESET'>): Promise<void> {
  const { account, time, data } = event;
  const device = { account, deviceId: data.deviceId };
  await endLeaves(deps, device, event, 'device reset');
  const revocation = { reason: 'superseded', by: data.by, at: deps.now() } as const;
  await revokeDevice(deps.certificates, device, revocation, ({ issuedAt }) => issuedAt <= time);
}

/** What it might have enrolled or renewed by. */
async function endLeaves(
  deps: Deps,
  device: { readonly account: string; readonly deviceId: string },
  event: SignetEvent<'DEVICE_RETIRED' | 'DEVICE_RESET'>,
  reason: string,
): Promise<void> {
  const cause = causeOf(event);
  await voidGrant(deps.grants, device, { reason, ...cause });
  await endMove(deps.deviceProfiles, device, cause);
  await endRenewalGrant(deps.renewalGrants, device, cause);
  await voidRequests(deps.requests, device, cause);
  await forgetTpm(deps.deviceTpms, device, cause);
}

function causeOf(event: SignetEvent) {
  return { at: Date.parse(event.time), eventId: event.id };
}

async function supersede(deps: Deps, event: SignetEvent<'DEVICE_PUBKEY_CHANGE'>): Promise<void> {
  const { deviceId, newSerialNumber, newPublicKeyHash } = event.data;
  const promoted = await deps.certificates.get(newSerialNumber);
  const supersedes = supersededBy({
    serialNumber: newSerialNumber,
    publicKeyHash: newPublicKeyHash,
    issuedAt: promoted?.issuedAt ?? event.time,
  });
  await revokeDevice(
    deps.certificates,
    { account: event.account, deviceId },
    { reason: 'superseded', by: 'provisioning', at: deps.now() },
    supersedes,
  );
}

/** A device that came with a renewed certificate has it: those of the same key before it are of no more use. */
async function supersedeRenewed(deps: Deps, event: SignetEvent<'DEVICE_SEEN'>): Promise<void> {
  const { account, data } = event;
  const { deviceId } = data;
  const seen = await deps.certificates.get(data.serialNumber);
  if (seen?.account !== account || seen.deviceId !== deviceId || seen.revokedAt !== undefined) return;
  const revocation = { reason: 'superseded', by: 'provisioning', at: deps.now() } as const;
  await revokeDevice(deps.certificates, { account, deviceId }, revocation, renewedBy(seen));
}
