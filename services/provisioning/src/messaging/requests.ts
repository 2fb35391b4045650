import { randomBytes } from 'node:crypto';
import type { Bus, Subscription } from '@signet/bus';
import {
  authenticateProvisioning,
  completeProvisioning,
  createProvisioningRequest,
  handOverDevice,
  OperationError,
  uuidv7,
} from '@signet/contracts';
import { type Collection, StoreError } from '@signet/store';
import { keyRingId } from '../domain/key-ring.ts';
import {
  complete,
  hashPassword,
  isPassword,
  type ProvisioningRequest,
} from '../domain/provisioning-request.ts';

type Deps = { bus: Bus; requests: Collection<ProvisioningRequest, 'byDevice'>; now: () => number };

/** The exchange on the MQTT provisioning listener: a matching request first, then the bundle (F18, F26). */
export async function serveRequests({ bus, requests, now }: Deps): Promise<Subscription[]> {
  return [
    await bus.serve(createProvisioningRequest, async ({ account, deviceId, username, password }) => {
      const salt = randomBytes(16).toString('hex');
      const requestId = uuidv7(now());
      const id = keyRingId(account, deviceId);
      try {
        await requests.insert({
          ...{ id, requestId, account, deviceId, username, salt },
          passwordHash: hashPassword(password, salt),
          state: 'created',
          createdAt: new Date(now()).toISOString(),
        });
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
        throw new OperationError('request-exists', `deviceId: "${deviceId}" has a provisioning request`, {
          field: 'deviceId',
        });
      }
      return { requestId };
    }),
    await bus.serve(authenticateProvisioning, async ({ clientId, username, password }) => {
      const { items } = await requests.find({ index: 'byDevice', equals: { deviceId: clientId } });
      if (items.length === 0)
        throw new OperationError('unmatched', `clientId: no provisioning request waits for "${clientId}"`);
      const request = items.find((candidate) => isPassword(candidate, username, password));
      if (request === undefined)
        throw new OperationError('wrong-password', `username: wrong user name or password for "${clientId}"`);
      return { account: request.account, deviceId: request.deviceId, requestId: request.requestId };
    }),
    await bus.serve(completeProvisioning, async ({ account, deviceId, fingerprint, requestId }) => {
      const request = await requests.get(keyRingId(account, deviceId));
      if (request?.requestId !== requestId)
        throw new OperationError('unmatched', `requestId: no such request for "${deviceId}"`);
      const bundle = await bus.request(handOverDevice, { fingerprint });
      if (bundle.account !== account || bundle.deviceId !== deviceId) {
        throw new OperationError(
          'unmatched',
          `fingerprint: the certificate is that of another device than "${deviceId}"`,
        );
      }
      await requests.update(request.id, (current) => complete(current, now()));
      return bundle;
    }),
  ];
}
