import type { Bus } from '@signet/bus';
import { type DenyTarget, type DeviceQuery, identifyDevices, listDevices } from '@signet/contracts';

/** Whoever asks other services. */
export type Asks = { readonly bus: Pick<Bus, 'request'> };

/** Names asked for at a time. */
const AT_ONCE = 1000;

/** What a device is denied by: its name, and the bootstrap certificate that it was made with. */
function targetsOf(device: {
  readonly deviceId: string;
  readonly fingerprint: string;
  readonly account?: string | undefined;
}): DenyTarget[] {
  const { account, deviceId, fingerprint } = device;
  const made: DenyTarget = { kind: 'fingerprint', fingerprint };
  return account === undefined ? [made] : [made, { kind: 'device', account, deviceId }];
}

/** What the devices that bear these fingerprints have become. @throws OperationError where bootstrap does not answer */
export async function devicesOfFingerprints(
  { bus }: Asks,
  fingerprints: readonly string[],
): Promise<DenyTarget[]> {
  const { devices } = await bus.request(identifyDevices, { fingerprints: [...fingerprints] });
  return devices.flatMap((device) => targetsOf(device).filter(({ kind }) => kind === 'device'));
}

/** The bootstrap certificates of devices of an account. @throws OperationError where bootstrap does not answer */
export async function fingerprintsOfDevices(
  { bus }: Asks,
  account: string,
  deviceIds: readonly string[],
): Promise<DenyTarget[]> {
  const found: DenyTarget[] = [];
  for (let i = 0; i < deviceIds.length; i += AT_ONCE) {
    const { devices } = await bus.request(identifyDevices, {
      account,
      deviceIds: deviceIds.slice(i, i + AT_ONCE),
    });
    for (const device of devices)
      found.push(...targetsOf(device).filter(({ kind }) => kind === 'fingerprint'));
  }
  return found;
}

/** The ids that no device of the account has. @throws OperationError where bootstrap does not answer */
export async function findUnknown(
  { bus }: Asks,
  account: string,
  deviceIds: readonly string[],
): Promise<string[]> {
  const unknown: string[] = [];
  for (let i = 0; i < deviceIds.length; i += AT_ONCE) {
    const asked = deviceIds.slice(i, i + AT_ONCE);
    const { devices } = await bus.request(identifyDevices, { account, deviceIds: asked });
    const known = new Set(devices.map(({ deviceId }) => deviceId));
    unknown.push(...asked.filter((id) => !known.has(id)));
  }
  return unknown;
}

/** Of bootstrap certificates, those of devices that another account has by now. @throws OperationError where bootstrap does not answer */
export async function foreignAmong(
  { bus }: Asks,
  account: string,
  targets: readonly DenyTarget[],
): Promise<DenyTarget[]> {
  const made = targets.flatMap((target) => (target.kind === 'fingerprint' ? [target] : []));
  const foreign: DenyTarget[] = [];
  for (let i = 0; i < made.length; i += AT_ONCE) {
    const asked = made.slice(i, i + AT_ONCE);
    const { devices } = await bus.request(identifyDevices, {
      fingerprints: asked.map(({ fingerprint }) => fingerprint),
    });
    const others = new Set(
      devices.flatMap((device) =>
        device.account === undefined || device.account === account ? [] : [device.fingerprint],
      ),
    );
    foreign.push(...asked.filter(({ fingerprint }) => others.has(fingerprint)));
  }
  return foreign;
}

/** The targets of all devices of an account that a query fits, page by page. */
export async function* queriedDevices(
  { bus }: Asks,
  account: string,
  { group, state, model }: DeviceQuery,
): AsyncGenerator<DenyTarget[]> {
  let cursor: string | undefined;
  do {
    const page = await bus.request(listDevices, {
      account,
      limit: AT_ONCE,
      ...(group === undefined ? {} : { group }),
      ...(state === undefined ? {} : { state }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield page.items
      .filter((device) => model === undefined || device.model === model)
      .flatMap((device) => targetsOf({ ...device, account }));
    cursor = page.next;
  } while (cursor !== undefined);
}
