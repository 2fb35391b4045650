import { Bundle, type createGrant, type OperationInput, type OperationOutput } from '@signet/contracts';
import type { Collection } from '@signet/store';
import type { DeviceIndex, DeviceRecord } from '../device/device-record.ts';
import { handOver } from '../device/transitions.ts';
import { decideHandOver, type HandOverDecision } from './decision.ts';

/** Where devices of this instance go. URLs as devices reach them. */
export type Endpoints = {
  readonly instance: string;
  readonly est: string;
  readonly mqtt: string;
  readonly gateway: string;
};

/** Makes an enrollment grant; `est-ca` serves it. */
export type GrantIssuer = (
  input: OperationInput<typeof createGrant>,
) => Promise<OperationOutput<typeof createGrant>>;

export type HandOver = {
  readonly devices: Collection<DeviceRecord, DeviceIndex>;
  readonly issueGrant: GrantIssuer;
  readonly endpoints: Endpoints;
  readonly now: () => number;
};

export type HandOverResult =
  | { readonly kind: 'bundle'; readonly bundle: Bundle }
  | Exclude<HandOverDecision, { kind: 'hand-over' }>;

/**
 * The hand-over of one device: the decision, a fresh grant (an earlier one is void), the step to `bootstrapped`.
 * Safe to repeat after any cut: the device's last grant is the one that counts. The decision is made again on what that
 * step found, so that a device which was blocked or retired meanwhile gets nothing; one blocked later has the grant
 * voided by its event.
 * @throws OperationError `unavailable`, `deadline-exceeded` where `est-ca` is away: nothing has changed
 */
export async function handOverDevice(deps: HandOver, fingerprint: string): Promise<HandOverResult> {
  const decision = decideHandOver(await deps.devices.get(fingerprint));
  if (decision.kind !== 'hand-over') return decision;
  const { account, deviceId } = decision;
  const granted = await deps.issueGrant({ account, deviceId, fingerprint });
  const { instance, est, mqtt, gateway } = deps.endpoints;
  const after = decideHandOver(
    await deps.devices.update(fingerprint, (current) => handOver(current, { instance, now: deps.now() })),
  );
  if (after.kind !== 'hand-over') return after;
  const { trustAnchors, label, username, grant, expiresAt } = granted;
  const bundle = Bundle.parse({
    account,
    deviceId,
    instance,
    trustAnchors,
    est: { url: est, label, username, grant, expiresAt },
    mqtt: { url: mqtt, clientId: deviceId },
    gateway: { url: gateway },
    config: {},
  });
  return { kind: 'bundle', bundle };
}
