import {
  getDevice,
  listRedirects,
  newEvent,
  removeRedirect,
  type SignetEvent,
  setAccountSettings,
  setRedirect,
  unclaimDevices,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { accountStates, blockRules, deviceRecords, voidedAuthorities } from '../src/collections.ts';
import { admitFirstContact } from '../src/domain/claim/first-contact.ts';
import type { FactoryPin } from '../src/domain/factory/factory-pins.ts';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture();
});

afterEach(() => scene[Symbol.asyncDispose]());

const ada = { account: ACCOUNT, by: 'ada', reason: 'lost' };

const ask: BootstrapFixture['fixture']['deps']['bus']['request'] = (...given) =>
  scene.fixture.deps.bus.request(...given);

const send = (account: string, fingerprint: string, url: string) =>
  ask(setRedirect, { account, subject: { fingerprint }, url, trustAnchors: [], by: 'ada' });

describe('what changes between a look and the write that rests on it', () => {
  test('the redirect of a device’s new owner stays, where its maker sets one at that moment', async () => {
    const { fingerprint } = await scene.make('sold-1');
    await send(ACCOUNT, fingerprint, 'https://maker.example');
    scene.store.beforeUpdate = {
      of: 'bootstrap.redirects',
      async does() {
        await scene.claim(fingerprint, { account: 'buyer' });
        await send('buyer', fingerprint, 'https://buyer.example');
      },
    };
    const late = send(ACCOUNT, fingerprint, 'https://maker.example/2');
    await expect(late).rejects.toMatchObject({ code: 'unknown-device' });
    expect((await ask(listRedirects, { account: 'buyer' })).items).toMatchObject([
      { url: 'https://buyer.example' },
    ]);
  });

  test('nor does its maker remove it', async () => {
    const { fingerprint } = await scene.make('sold-2');
    await send(ACCOUNT, fingerprint, 'https://maker.example');
    scene.store.beforeUpdate = {
      of: 'bootstrap.redirects',
      async does() {
        await scene.claim(fingerprint, { account: 'buyer' });
        await send('buyer', fingerprint, 'https://buyer.example');
      },
    };
    const removed = ask(removeRedirect, { ...ada, subject: { fingerprint } });
    await expect(removed).rejects.toMatchObject({ code: 'unknown-redirect' });
    expect((await ask(listRedirects, { account: 'buyer' })).items).toHaveLength(1);
  });

  test('F62: a device that is given up while its voided CA is told of is blocked: its former owner’s settings do not count', async () => {
    await ask(setAccountSettings, { ...ada, account: 'buyer', settings: { voidedFactoryCaDenies: false } });
    const { fingerprint, identity } = await scene.make('void-1');
    await scene.claim(fingerprint, { account: 'buyer' });
    await scene.bootstrap(identity);
    scene.store.beforeUpdate = {
      of: 'bootstrap.devices',
      does: () => ask(unclaimDevices, { ...ada, account: 'buyer', fingerprints: [fingerprint] }),
    };
    const data: SignetEvent<'CA_CHANGED'>['data'] = {
      authorityId: 'factory-1',
      kind: 'factory',
      state: 'revoked',
      reason: 'key stolen',
      subjectKeyId: 'aa'.repeat(20),
      notAfter: '9999-12-31T23:59:59Z',
    };
    const voided = newEvent('CA_CHANGED', { account: ACCOUNT, subject: 'factory-1', time: Date.now(), data });
    await scene.fixture.deps.bus.publish([{ ...voided, sequence: 2 }]);
    await vi.waitFor(
      async () => expect((await ask(getDevice, { account: ACCOUNT, fingerprint })).state).toBe('blocked'),
      20_000,
    );
  });

  test('F48: a device that its owner gives up at that moment is not claimed again by its first contact', async () => {
    const { fingerprint, identity } = await scene.make('met-1');
    scene.store.beforeUpdate = {
      of: 'bootstrap.devices',
      async does() {
        await scene.claim(fingerprint);
        await ask(unclaimDevices, { ...ada, fingerprints: [fingerprint] });
      },
    };
    const pin: FactoryPin = {
      authorityId: 'factory-1',
      account: ACCOUNT,
      state: 'active',
      firstContact: 'claimed',
    };
    const ctx = {
      devices: await scene.store.collection(deviceRecords),
      rules: await scene.store.collection(blockRules),
      voided: await scene.store.collection(voidedAuthorities),
      accountStates: await scene.store.collection(accountStates),
      factories: { byKeyId: () => [pin], siblings: () => [] },
      log: { warn() {} },
      now: scene.fixture.deps.now,
    };
    const certificate = parseCertificatePem(identity.cert);
    await admitFirstContact(ctx, { certificate, issuerKeyId: certificate.authorityKeyId ?? '' });
    expect((await ask(getDevice, { account: ACCOUNT, fingerprint })).state).toBe('manufactured');
  });
});
