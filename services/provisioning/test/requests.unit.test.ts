import {
  authenticateProvisioning,
  commonCodes,
  completeProvisioning,
  createProvisioningRequest,
  type Device,
  getDevice,
  handOverDevice,
  OperationError,
} from '@signet/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_WRONG_PASSWORDS } from '../src/domain/requests/provisioning-request.ts';
import { ACCOUNT, type GatewayGround, openGatewayGround } from './support/gateway-ground.ts';

const fingerprint = 'ab'.repeat(32);
const strange = 'cd'.repeat(32);
const credentials = { username: 'preseeded', password: 'correct horse battery' };
const bundle = {
  account: ACCOUNT,
  deviceId: 'pump-1',
  instance: 'eu-1',
  trustAnchors: ['-----BEGIN CERTIFICATE-----\n'],
  est: {
    url: 'https://localhost:8443',
    label: ACCOUNT,
    username: 'pump-1',
    grant: 'secret',
    expiresAt: '2026-03-01T12:00:00.000Z',
  },
  mqtt: { url: 'mqtts://localhost:8883', clientId: 'pump-1' },
  gateway: { url: 'https://localhost:8445' },
  config: {},
};
const device: Device = {
  deviceId: 'pump-1',
  account: ACCOUNT,
  factoryAccount: ACCOUNT,
  fingerprint,
  deviceSerialNumber: 'SN-1',
  state: 'claimed',
  certificate: '-----BEGIN CERTIFICATE-----\n',
  manufacturedAt: '2026-01-01T00:00:00.000Z',
};

let scene: GatewayGround;
let handedOver: string[];
let bootstrapFailure: OperationError | undefined;

beforeEach(async () => {
  scene = await openGatewayGround();
  handedOver = [];
  bootstrapFailure = undefined;
  await scene.bus.serve(getDevice, async (input) => {
    if (bootstrapFailure !== undefined) throw bootstrapFailure;
    if (input.account !== ACCOUNT) throw new OperationError('unknown-device', 'device: no such device');
    return input.fingerprint === fingerprint ? device : { ...device, deviceId: 'pump-2' };
  });
  await scene.bus.serve(handOverDevice, async (input) => {
    handedOver.push(input.fingerprint);
    return bundle;
  });
});
afterEach(() => scene[Symbol.asyncDispose]());

const create = (more: { account?: string; password?: string } = {}) =>
  scene.bus.request(createProvisioningRequest, {
    ...{ account: ACCOUNT, deviceId: 'pump-1', by: 'ada' },
    ...{ ...credentials, ...more },
  });
const authenticate = (given: { username?: string; password?: string; clientId?: string } = {}) =>
  scene.bus.request(
    authenticateProvisioning,
    { fingerprint, clientId: 'pump-1', ...credentials, ...given },
    { deadlineMs: 30_000 },
  );
const complete = (requestId: string, of = fingerprint) =>
  scene.bus.request(completeProvisioning, {
    account: ACCOUNT,
    deviceId: 'pump-1',
    fingerprint: of,
    requestId,
  });

test('F16, F26: right credentials, then the bundle; asked again it comes again, and is one event', async () => {
  const { requestId } = await create();
  expect(await authenticate()).toEqual({ account: ACCOUNT, deviceId: 'pump-1', requestId });
  expect(await complete(requestId)).toMatchObject({ est: { grant: 'secret' } });
  expect(await complete(requestId)).toMatchObject({ deviceId: 'pump-1' });
  const [event] = await scene.events('DEVICE_PROVISIONED', 1);
  expect(event).toMatchObject({ account: ACCOUNT, subject: 'pump-1', data: { requestId } });
});

test('F18: without a request nothing matches, and nothing is handed over', async () => {
  await expect(authenticate()).rejects.toMatchObject({
    code: 'unmatched',
    message: 'clientId: no provisioning request waits for "pump-1"',
  });
  await expect(complete('r-1')).rejects.toMatchObject({ code: 'unmatched' });
  expect(handedOver).toEqual([]);
});

test('F17: right credentials with the certificate of another device get nothing, and leave no trace of a hand-over', async () => {
  const { requestId } = await create();
  await expect(complete(requestId, strange)).rejects.toMatchObject({
    code: 'unmatched',
    message: 'fingerprint: the certificate is that of another device than "pump-1"',
  });
  expect(handedOver).toEqual([]);
});

test('wrong user name and wrong password are one answer, that does not tell which', async () => {
  await create();
  for (const given of [{ username: 'admin' }, { password: 'wrong' }])
    await expect(authenticate(given)).rejects.toMatchObject({
      code: 'wrong-password',
      message: 'username: wrong user name or password for "pump-1"',
    });
});

test('brute force: many guesses at a time lock the request, even to the right password, until an operator makes a new one', async () => {
  const { requestId } = await create();
  await authenticate();
  const guesses = Array.from({ length: 40 }, (_, i) => authenticate({ password: `guess ${i}` }));
  const outcomes = await Promise.allSettled(guesses);
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  await expect(authenticate()).rejects.toMatchObject({
    code: 'wrong-password',
    message: `password: the provisioning request of "pump-1" is locked after ${MAX_WRONG_PASSWORDS} wrong passwords; make a new one`,
  });
  await expect(complete(requestId)).rejects.toMatchObject({ code: 'unmatched' });
  const anew = await create({ password: 'another long password' });
  expect(anew.requestId).not.toBe(requestId);
  expect(await authenticate({ password: 'another long password' })).toMatchObject({
    requestId: anew.requestId,
  });
});

test('guesses with a wrong user name lock nobody out', async () => {
  await create();
  for (let i = 0; i <= MAX_WRONG_PASSWORDS; i++)
    await expect(authenticate({ username: `user-${i}` })).rejects.toMatchObject({ code: 'wrong-password' });
  expect(await authenticate()).toMatchObject({ deviceId: 'pump-1' });
});

test('two accounts with a device of one name: the password says whose it is', async () => {
  await create();
  const rival = await create({ account: 'rival', password: 'the rival’s password' });
  expect(await authenticate({ password: 'the rival’s password' })).toMatchObject({
    account: 'rival',
    requestId: rival.requestId,
  });
  expect(await authenticate()).toMatchObject({ account: ACCOUNT });
});

test('a second request for one device is refused while the first stands', async () => {
  await create();
  await expect(create()).rejects.toMatchObject({
    code: 'request-exists',
    message: 'deviceId: "pump-1" has a provisioning request',
    field: 'deviceId',
  });
});

test('passwords are hashed off the loop: timers go on while twenty are checked', async () => {
  await create();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await Promise.allSettled(Array.from({ length: 20 }, () => authenticate({ username: 'nobody' })));
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(10);
});

test('bootstrap away: typed, and the exchange can be repeated', async () => {
  const { requestId } = await create();
  bootstrapFailure = new OperationError('unavailable', 'bootstrap.get-device: nobody serves it');
  await expect(complete(requestId)).rejects.toMatchObject({ code: 'unavailable' });
  bootstrapFailure = undefined;
  expect(await complete(requestId)).toMatchObject({ deviceId: 'pump-1' });
});

test('what a hand-over is refused with reaches the broker typed', () => {
  const passedOn = handOverDevice.errors.filter((code) => code !== 'unknown-device');
  const known: readonly string[] = [...completeProvisioning.errors, ...commonCodes];
  expect(passedOn.filter((code) => !known.includes(code))).toEqual([]);
});
