import { applyCrlToDevices, identifyDevices } from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACCOUNT, type BootstrapGround, openBootstrapGround } from './support/bootstrap-ground.ts';

let ground: BootstrapGround;
beforeEach(async () => {
  ground = await openBootstrapGround();
});
afterEach(() => ground[Symbol.asyncDispose]());

async function makeWithSerial(deviceId: string) {
  const made = await ground.make(deviceId);
  await ground.claim(made.fingerprint);
  const [event] = (await ground.events('DEVICE_MANUFACTURED', 1)).filter(
    ({ data }) => data.fingerprint === made.fingerprint,
  );
  const { serialNumber } = parseCertificatePem(made.identity.cert);
  return { ...made, serialNumber, authorityId: event?.data.factoryCa ?? '' };
}

const apply = (authorityId: string, said: { listed?: string[]; unlisted?: string[] }, source = 'maker') =>
  ground.ground.deps.bus.request(applyCrlToDevices, {
    ...{ account: ACCOUNT, source, number: '118', authorityIds: [authorityId] },
    listed: (said.listed ?? []).map((serialNumber) => ({ serialNumber, reason: 'keyCompromise' })),
    unlisted: said.unlisted ?? [],
  });

describe('a bootstrap certificate in the CRL of a foreign PKI', () => {
  it('F30: its device is blocked with the number of the CRL, DEVICE_BLOCKED is sent; unlisted, it is unblocked', async () => {
    const { serialNumber, authorityId, fingerprint } = await makeWithSerial('dev-1');
    const stranger = 'ab'.repeat(16);
    expect(await apply(authorityId, { listed: [serialNumber, stranger] })).toEqual({
      blocked: ['dev-1'],
      unblocked: [],
    });
    const [event] = await ground.events('DEVICE_BLOCKED', 1);
    expect(event).toMatchObject({
      subject: 'dev-1',
      data: { fingerprint, reason: 'CRL 118 of "maker": keyCompromise', by: 'CRL source maker' },
    });
    expect(await apply(authorityId, { listed: [serialNumber] })).toEqual({ blocked: [], unblocked: [] });
    expect(await apply(authorityId, { unlisted: [serialNumber] }, 'other')).toMatchObject({ unblocked: [] });
    expect(await apply(authorityId, { unlisted: [serialNumber] })).toMatchObject({ unblocked: ['dev-1'] });
    await ground.events('DEVICE_UNBLOCKED', 1);
  });

  it('is told who it is by either of its names, whatever account claimed it', async () => {
    const { fingerprint } = await makeWithSerial('dev-1');
    const { bus } = ground.ground.deps;
    const device = { deviceId: 'dev-1', fingerprint, account: ACCOUNT };
    expect((await bus.request(identifyDevices, { fingerprints: [fingerprint] })).devices).toMatchObject([
      device,
    ]);
    const byId = await bus.request(identifyDevices, { account: ACCOUNT, deviceIds: ['dev-1', 'nobody'] });
    expect(byId.devices).toMatchObject([device]);
    expect((await bus.request(identifyDevices, { account: 'other', deviceIds: ['dev-1'] })).devices).toEqual(
      [],
    );
  });
});
