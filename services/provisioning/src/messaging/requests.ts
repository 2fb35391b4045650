import type { Bus, Subscription } from '@signet/bus';
import {
  authenticateProvisioning,
  completeProvisioning,
  createProvisioningRequest,
  getDevice,
  handOverDevice,
  OperationError,
  type OperationInput,
  uuidv7,
} from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import {
  complete,
  countWrongPassword,
  hashPassword,
  isLocked,
  isPassword,
  MAX_WRONG_PASSWORDS,
  type ProvisioningRequest,
} from '../domain/requests/provisioning-request.ts';
import { keyRingId } from '../domain/rotation/key-ring.ts';

type Requests = Collection<ProvisioningRequest, 'byDevice'>;
type Deps = { bus: Bus; requests: Requests; now: () => number };

/** Accounts that may each have a device of the same id waiting; more are not tried against one password. */
const MAX_NAMESAKES = 8;

/** The exchange on the MQTT provisioning listener: a matching request first, then the bundle (F18, F26). */
export async function serveRequests({ bus, requests, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(createProvisioningRequest, (input) => create({ requests, now }, input)),
    await bus.serve(authenticateProvisioning, (input) => authenticate(requests, input)),
    await bus.serve(completeProvisioning, async ({ account, deviceId, fingerprint, requestId }) => {
      const request = await requests.get(keyRingId(account, deviceId));
      if (request?.requestId !== requestId || isLocked(request))
        throw new OperationError('unmatched', `requestId: no such request for "${deviceId}"`);
      await demandDevice(bus, { account, deviceId, fingerprint });
      const bundle = await bus.request(handOverDevice, { fingerprint });
      if (bundle.account !== account || bundle.deviceId !== deviceId) throw otherDevice(deviceId);
      await requests.update(request.id, (current) => complete(current, now()));
      return bundle;
    }),
  ];
}

/** A request that is locked gives way to a new one. */
async function create(
  { requests, now }: Omit<Deps, 'bus'>,
  { account, deviceId, username, password }: OperationInput<typeof createProvisioningRequest>,
): Promise<{ requestId: string }> {
  const id = keyRingId(account, deviceId);
  const time = now();
  const request: ProvisioningRequest = {
    ...{ id, account, deviceId, username, ...(await hashPassword(password)) },
    requestId: uuidv7(time),
    wrongPasswords: 0,
    state: 'created',
    createdAt: new Date(time).toISOString(),
  };
  try {
    await requests.insert(request);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
    await requests.update(id, (present) => {
      if (isLocked(present)) return { document: request };
      throw new OperationError('request-exists', `deviceId: "${deviceId}" has a provisioning request`, {
        field: 'deviceId',
      });
    });
  }
  return { requestId: request.requestId };
}

/** The count is read again after the password was found right: many guesses at a time get no more tries than few. */
async function authenticate(
  requests: Requests,
  { clientId, username, password }: OperationInput<typeof authenticateProvisioning>,
) {
  const { items } = await requests.find({
    index: 'byDevice',
    equals: { deviceId: clientId },
    limit: MAX_NAMESAKES,
  });
  if (items.length === 0)
    throw new OperationError('unmatched', `clientId: no provisioning request waits for "${clientId}"`);
  const open = items.filter((request) => !isLocked(request));
  for (const request of open) {
    if (!(await isPassword(request, { username, password }))) continue;
    const present = await requests.get(request.id);
    if (present === undefined || present.requestId !== request.requestId || isLocked(present)) continue;
    return { account: request.account, deviceId: request.deviceId, requestId: request.requestId };
  }
  const charged = open.filter((request) => request.username === username);
  await Promise.all(charged.map(({ id }) => requests.update(id, countWrongPassword)));
  throw open.length === 0 ? locked(clientId) : wrongPassword(clientId);
}

function locked(clientId: string): OperationError {
  return new OperationError(
    'wrong-password',
    `password: the provisioning request of "${clientId}" is locked after ${MAX_WRONG_PASSWORDS} wrong passwords; make a new one`,
  );
}

function wrongPassword(clientId: string): OperationError {
  return new OperationError('wrong-password', `username: wrong user name or password for "${clientId}"`);
}

/** Nothing is handed over before it is known to be for the device that the request is for. */
async function demandDevice(
  bus: Bus,
  { account, deviceId, fingerprint }: { account: string; deviceId: string; fingerprint: string },
): Promise<void> {
  try {
    const device = await bus.request(getDevice, { account, fingerprint });
    if (device.deviceId === deviceId) return;
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== 'unknown-device') throw error;
  }
  throw otherDevice(deviceId);
}

function otherDevice(deviceId: string): OperationError {
  return new OperationError(
    'unmatched',
    `fingerprint: the certificate is that of another device than "${deviceId}"`,
  );
}
