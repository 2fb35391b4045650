import {
  authenticateProvisioning,
  commonCodes,
  completeProvisioning,
  createProvisioningRequest,
  type Device,
  getDevice,
  getDeviceConfig,
  getProvisioningRequest,
  handOverDevice,
  identifyDevices,
  listProvisioningRequests,
  newEvent,
  OperationError,
  type OperationInput,
  reportProvisioning,
  stopProvisioningRequest,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { provisioningRequests } from '../src/collections.ts';
import { abandonExpiredRequests } from '../src/domain/requests/requests.ts';
import { bundleOf, claimedDevice } from './support/bundle.ts';
import { ACCOUNT, type GatewayFixture, openGatewayFixture } from './support/gateway-fixture.ts';

const fingerprint = 'ab'.repeat(32);
/** Of the bootstrap certificate of another account's device. */
const rivals = 'ef'.repeat(32);
const strange = 'cd'.repeat(32);
const credentials = { username: 'preseeded', password: 'correct horse battery' };
const day = 86_400_000;

let scene: GatewayFixture;
let handedOver: string[];
let device: Device;
let bootstrapFailure: OperationError | undefined;

beforeEach(async () => {
  scene = await openGatewayFixture({ identifies: true });
  handedOver = [];
  device = claimedDevice(ACCOUNT, 'pump-1', fingerprint);
  bootstrapFailure = undefined;
  await scene.bus.serve(getDevice, async (input) => {
    if (bootstrapFailure !== undefined) throw bootstrapFailure;
    if (input.account !== ACCOUNT && input.account !== 'rival')
      throw new OperationError('unknown-device', 'device: no such device');
    return input.fingerprint === fingerprint ? device : { ...device, deviceId: 'pump-2' };
  });
  await scene.bus.serve(identifyDevices, async (input) => {
    if (bootstrapFailure !== undefined) throw bootstrapFailure;
    return {
      devices: input.fingerprints.map((shown) => ({
        ...{ account: shown === rivals ? 'rival' : ACCOUNT, factoryAccount: 'maker', fingerprint: shown },
        deviceId: shown === fingerprint || shown === rivals ? 'pump-1' : 'pump-2',
      })),
    };
  });
  await scene.bus.serve(handOverDevice, async (input) => {
    handedOver.push(input.fingerprint);
    return bundleOf(ACCOUNT, 'pump-1');
  });
});
afterEach(() => scene[Symbol.asyncDispose]());

type Plan = Partial<OperationInput<typeof createProvisioningRequest>>;
const create = (more: Plan = {}) =>
  scene.bus.request(createProvisioningRequest, {
    ...{ account: ACCOUNT, deviceId: 'pump-1', by: 'ada' },
    ...{ ...credentials, ...more },
  });
type Given = { username?: string; password?: string; clientId?: string; fingerprint?: string };
const authenticate = (given: Given = {}) =>
  scene.bus.request(authenticateProvisioning, { clientId: 'pump-1', fingerprint, ...credentials, ...given });
const applicant = (requestId: string) => ({ account: ACCOUNT, deviceId: 'pump-1', fingerprint, requestId });
const complete = (requestId: string, more: { fingerprint?: string } = {}) =>
  scene.bus.request(completeProvisioning, { ...applicant(requestId), ...more });
const show = (requestId: string) =>
  scene.bus.request(getProvisioningRequest, { account: ACCOUNT, requestId });
const stop = (requestId: string) =>
  scene.bus.request(stopProvisioningRequest, { account: ACCOUNT, requestId, by: 'ada', reason: 'lost' });
const report = (requestId: string, state: 'CONF_UPDATED' | 'COMPLETED' | 'FAILED', details?: string) =>
  scene.bus.request(reportProvisioning, {
    ...applicant(requestId),
    progress: { state, ...(details === undefined ? {} : { details }) },
  });
const states = async () =>
  (await scene.events('PROVISIONING_CHANGED', 5)).map(({ data }) => [data.from, data.state]);

describe('the exchange', () => {
  test('F16, F26: right credentials, then the bundle; asked again it comes again', async () => {
    const { requestId } = await create();
    const clientId = 'pump-1';
    expect(await authenticate()).toEqual({ account: ACCOUNT, deviceId: 'pump-1', clientId, requestId });
    expect((await show(requestId)).state).toBe('STARTED');
    expect(await complete(requestId)).toMatchObject({ est: { grant: 'secret' } });
    expect(await complete(requestId)).toMatchObject({ deviceId: 'pump-1' });
    expect((await show(requestId)).state).toBe('RUNNING');
  });

  test('F18: without a request nothing matches, and nothing is delivered', async () => {
    await expect(authenticate()).rejects.toMatchObject({
      code: 'unmatched',
      message: 'clientId: no provisioning request waits for "pump-1"',
    });
    await expect(complete('r-1')).rejects.toMatchObject({ code: 'unmatched' });
    expect(handedOver).toEqual([]);
  });

  test('F17: right credentials with the certificate of another device get nothing, and cost the request no attempt', async () => {
    const { requestId } = await create({ retryLimit: 1 });
    const message = 'fingerprint: the certificate is that of another device than "pump-1", or not claimed';
    for (const password of ['wrong', credentials.password])
      await expect(authenticate({ fingerprint: strange, password })).rejects.toMatchObject({
        code: 'unmatched',
        message,
      });
    await expect(complete(requestId, { fingerprint: strange })).rejects.toMatchObject({ message });
    expect(handedOver).toEqual([]);
    expect(await show(requestId)).toMatchObject({ state: 'CREATED', failedAttempts: 0 });
  });

  test('a bundle asked for without CONNECT’s word is not delivered', async () => {
    const { requestId } = await create();
    await expect(complete(requestId)).rejects.toMatchObject({ code: 'illegal-transition' });
  });

  test('wrong user name and wrong password are one answer, that does not tell which', async () => {
    await create();
    for (const given of [{ username: 'admin' }, { password: 'wrong' }])
      await expect(authenticate(given)).rejects.toMatchObject({
        code: 'wrong-password',
        message: 'username: wrong user name or password for "pump-1"',
      });
  });

  test('two accounts with a device of one name: the certificate says whose it is', async () => {
    await create();
    const rival = await create({ account: 'rival', password: 'the rival’s password' });
    const theirs = { password: 'the rival’s password', fingerprint: rivals };
    await expect(authenticate({ ...theirs, fingerprint })).rejects.toMatchObject({ code: 'wrong-password' });
    expect(await authenticate(theirs)).toMatchObject({
      account: 'rival',
      requestId: rival.requestId,
    });
    expect(await authenticate()).toMatchObject({ account: ACCOUNT });
  });

  test('an activation key that was made is told once, and opens under the client id', async () => {
    const made = await scene.bus.request(createProvisioningRequest, {
      ...{ account: ACCOUNT, deviceId: 'pump-1', clientId: 'gateway-7', by: 'ada' },
    });
    expect(made.activationKey).toMatch(/^([A-Z2-9]{4}-){7}[A-Z2-9]{4}$/);
    const given = { clientId: 'gateway-7', username: 'gateway-7', password: made.activationKey ?? '' };
    expect(await authenticate(given)).toMatchObject({ deviceId: 'pump-1', clientId: 'gateway-7' });
    expect(JSON.stringify(await show(made.requestId))).not.toContain(made.activationKey);
  });

  test('F19: its attached config becomes the device’s, once, and comes with the bundle', async () => {
    const config = [{ name: 'app.toml', value: 'a = 1', unencrypted: true }];
    const { requestId } = await create({ config });
    const read = () => scene.bus.request(getDeviceConfig, { account: ACCOUNT, deviceId: 'pump-1' });
    await authenticate();
    expect(await read()).toMatchObject({ version: 0, files: [] });
    expect((await complete(requestId)).config).toEqual({ 'app.toml': 'a = 1' });
    expect((await complete(requestId)).config).toEqual({ 'app.toml': 'a = 1' });
    expect(await read()).toMatchObject({ version: 1, files: config });
    expect(await show(requestId)).toMatchObject({ config: ['app.toml'], configVersion: 1 });
  });

  test('bootstrap away: typed, and the exchange can be repeated', async () => {
    const { requestId } = await create();
    await authenticate();
    bootstrapFailure = new OperationError('unavailable', 'bootstrap.get-device: nobody serves it');
    await expect(complete(requestId)).rejects.toMatchObject({ code: 'unavailable' });
    bootstrapFailure = undefined;
    expect(await complete(requestId)).toMatchObject({ deviceId: 'pump-1' });
  });

  test('what a handoff is refused with reaches the broker typed', () => {
    const passedOn = handOverDevice.errors.filter((code) => code !== 'unknown-device');
    const known: readonly string[] = [...completeProvisioning.errors, ...commonCodes];
    expect(passedOn.filter((code) => !known.includes(code))).toEqual([]);
  });
});

test('accounts that have requests waiting under its client id, however many, do not keep a device from its own', async () => {
  for (let i = 0; i < 12; i++)
    await scene.bus.request(createProvisioningRequest, {
      ...{ account: `squatter-${i}`, deviceId: 'pump-1', by: 'eve', overwrite: false, retryLimit: 10 },
      ...{
        username: 'pump',
        password: 'a long password',
        expiresOn: new Date(Date.now() + 60_000).toISOString(),
      },
    });
  const { requestId } = await create();
  expect(await authenticate()).toMatchObject({ account: ACCOUNT, requestId });
});

describe('attempts', () => {
  test('brute force: many guesses at a time make the request FAILED, even for the right password, until an operator makes a new one', async () => {
    const { requestId } = await create();
    const guesses = Array.from({ length: 15 }, (_, i) => authenticate({ password: `guess ${i}` }));
    const outcomes = await Promise.allSettled(guesses);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    await expect(authenticate()).rejects.toMatchObject({
      code: 'request-closed',
      message: 'clientId: the provisioning request of "pump-1" is FAILED: wrong password (attempt 10 of 10)',
    });
    await expect(complete(requestId)).rejects.toMatchObject({ code: 'request-closed' });
    const anew = await create({ password: 'another long password' });
    expect(await authenticate({ password: 'another long password' })).toMatchObject({
      requestId: anew.requestId,
    });
  }, 60_000);

  test('guesses with a wrong user name use no attempt up', async () => {
    const { requestId } = await create({ retryLimit: 2 });
    for (let i = 0; i < 4; i++)
      await expect(authenticate({ username: `user-${i}` })).rejects.toMatchObject({ code: 'wrong-password' });
    expect(await show(requestId)).toMatchObject({ failedAttempts: 0 });
  });

  test('a device that reports failures may try again up to the limit', async () => {
    const { requestId } = await create({ retryLimit: 2 });
    await authenticate();
    await complete(requestId);
    expect(await report(requestId, 'FAILED', 'no space')).toEqual({ state: 'RUNNING' });
    expect(await show(requestId)).toMatchObject({ failedAttempts: 1, reason: 'the device: no space' });
    expect(await complete(requestId)).toMatchObject({ deviceId: 'pump-1' });
    expect(await report(requestId, 'FAILED', 'no space')).toEqual({ state: 'FAILED' });
    await expect(complete(requestId)).rejects.toMatchObject({
      code: 'request-closed',
      message: 'request: that of "pump-1" is FAILED: the device: no space (attempt 2 of 2)',
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
});

describe('states', () => {
  test('F18: each change of state is an event; the device’s word that it is done makes it COMPLETED and DEVICE_PROVISIONED, once', async () => {
    const { requestId } = await create();
    await authenticate();
    await complete(requestId);
    for (const state of ['CONF_UPDATED', 'COMPLETED', 'CONF_UPDATED', 'COMPLETED'] as const)
      await report(requestId, state);
    const [event] = await scene.events('DEVICE_PROVISIONED', 1);
    expect(event).toMatchObject({ account: ACCOUNT, subject: 'pump-1', data: { requestId } });
    expect(await states()).toEqual([
      [undefined, 'CREATED'],
      ['CREATED', 'STARTED'],
      ['STARTED', 'RUNNING'],
      ['RUNNING', 'CONF_UPDATED'],
      ['CONF_UPDATED', 'COMPLETED'],
    ]);
    await expect(complete(requestId)).rejects.toMatchObject({ code: 'request-closed' });
  });

  test('a device that says nothing of itself: its applied config and its first session tell', async () => {
    const config = [{ name: 'app.toml', value: 'a = 1', unencrypted: true }];
    const { requestId } = await create({ config });
    await authenticate();
    await complete(requestId);
    const time = Date.now() + 1000;
    const applied = { deviceId: 'pump-1', version: 1 };
    await scene.bus.publish([
      newEvent('DEVICE_CONFIG_APPLIED', { account: ACCOUNT, subject: 'pump-1', data: applied, time }),
    ]);
    await vi.waitFor(async () => expect((await show(requestId)).state).toBe('CONF_UPDATED'), 5000);
    await scene.connected(scene.fixture.pki.operational(ACCOUNT, 'pump-1'));
    await vi.waitFor(async () => expect((await show(requestId)).state).toBe('COMPLETED'), 5000);
  });

  test('STOPPED by an operator: nothing is delivered; stopping what is final names both states', async () => {
    const { requestId } = await create();
    await authenticate();
    expect(await stop(requestId)).toMatchObject({ state: 'STOPPED', reason: 'by ada: lost' });
    expect(await stop(requestId)).toMatchObject({ state: 'STOPPED' });
    await expect(complete(requestId)).rejects.toMatchObject({ code: 'request-closed' });
    const done = await create();
    await authenticate();
    await complete(done.requestId);
    await report(done.requestId, 'COMPLETED');
    await expect(stop(done.requestId)).rejects.toMatchObject({
      code: 'illegal-transition',
      message: 'state: a provisioning request cannot go from COMPLETED to STOPPED',
    });
  });

  test('the window: before it and after it nothing is delivered, and then it is ABANDONED', async () => {
    const soon = new Date(Date.now() + day).toISOString();
    const { requestId } = await create({ activatesOn: soon });
    await expect(authenticate()).rejects.toMatchObject({
      code: 'outside-window',
      message: `request: that of "pump-1" opens at ${soon}`,
    });
    const requests = await scene.fixture.deps.store.collection(provisioningRequests);
    await abandonExpiredRequests({ requests, now: () => Date.now() + 31 * day });
    await vi.waitFor(async () =>
      expect(await show(requestId)).toMatchObject({
        state: 'ABANDONED',
        reason: 'its window closed in state CREATED',
      }),
    );
  });
});

describe('operators', () => {
  test('a second request for one device is refused while the first stands; with overwrite it takes its place', async () => {
    const first = await create();
    await expect(create()).rejects.toMatchObject({
      code: 'request-exists',
      message: `deviceId: "pump-1" has a provisioning request, ${first.requestId}, in state CREATED`,
      field: 'deviceId',
    });
    const second = await create({ overwrite: true });
    expect((await show(first.requestId)).state).toBe('STOPPED');
    const all = await scene.bus.request(listProvisioningRequests, { account: ACCOUNT });
    expect(all.items.map(({ requestId }) => requestId)).toEqual([second.requestId, first.requestId]);
    const stopped = await scene.bus.request(listProvisioningRequests, { account: ACCOUNT, state: 'STOPPED' });
    expect(stopped.items.map(({ requestId }) => requestId)).toEqual([first.requestId]);
  });

  test('of many that are made at once for one device one stands', async () => {
    const made = await Promise.allSettled(Array.from({ length: 5 }, () => create()));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('a device that is at work is not provisioned again, unless the request says overwrite', async () => {
    device = { ...device, state: 'active' };
    const { requestId } = await create();
    await authenticate();
    await expect(complete(requestId)).rejects.toMatchObject({
      code: 'already-provisioned',
      message: 'request: "pump-1" is active already, and its request does not say overwrite',
    });
    expect(handedOver).toEqual([]);
    const again = await create({ overwrite: true });
    await authenticate();
    expect(await complete(again.requestId)).toMatchObject({ deviceId: 'pump-1' });
  });

  test.each([
    [{ activationKey: 'a key of sixteen+' }, 'activationKey'],
    [{ password: undefined }, 'password'],
    [{ expiresOn: '2020-01-01T00:00:00Z' }, 'expiresOn'],
    [{ retryLimit: 0 }, 'retryLimit'],
    [{ config: [{ name: '../x', value: '' }] }, 'config.0.name'],
  ])('what cannot be is refused by its field: %j', async (plan, field) => {
    await expect(create(plan as Plan)).rejects.toMatchObject({ code: 'invalid-input', field });
  });

  test('what is of another account is not there', async () => {
    const { requestId } = await create();
    const asked = { account: 'rival', requestId };
    await expect(scene.bus.request(getProvisioningRequest, asked)).rejects.toMatchObject({
      code: 'unknown-request',
    });
    await expect(scene.bus.request(stopProvisioningRequest, { ...asked, by: 'eve' })).rejects.toMatchObject({
      code: 'unknown-request',
    });
  });
});
