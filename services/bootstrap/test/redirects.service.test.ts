import {
  blockDevices,
  listRedirects,
  PLATFORM_ACCOUNT,
  removeRedirect,
  setRedirect,
  signStatement,
} from '@signet/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ACCOUNT, type BootstrapFixture, openBootstrapFixture } from './support/bootstrap-fixture.ts';

let scene: BootstrapFixture;

beforeEach(async () => {
  scene = await openBootstrapFixture({ SIGNET_OUTWARD_PRIVATE: 'true' });
});

afterEach(() => scene[Symbol.asyncDispose]());

const ada = { account: ACCOUNT, by: 'ada' };

const ask: BootstrapFixture['fixture']['deps']['bus']['request'] = (...given) =>
  scene.fixture.deps.bus.request(...given);

describe('F59: redirects', () => {
  const theirs = { url: 'https://eu.example:8444', by: 'ada' };
  let signed: unknown[] = [];
  let serving: AsyncDisposable;
  beforeEach(async () => {
    signed = [];
    serving = await scene.fixture.deps.bus.serve(signStatement, async ({ account, type, payload }) => {
      signed.push({ account, type, ...JSON.parse(Buffer.from(payload, 'base64url').toString()) });
      return { jws: 'a.b.c' };
    });
  });
  afterEach(() => serving[Symbol.asyncDispose]());

  test('a device is sent on by 307 with a statement of its own; blocked, it is not', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const { pem } = scene.fixture.pki.root;
    await ask(setRedirect, { ...theirs, account: ACCOUNT, subject: { fingerprint }, trustAnchors: [pem] });
    const answer = await scene.bootstrap(identity);
    expect([answer.status, answer.headers.location, answer.body]).toEqual([
      307,
      'https://eu.example:8444/v1/bootstrap',
      { statement: 'a.b.c' },
    ]);
    expect(signed).toEqual([
      expect.objectContaining({ account: 'signet', fingerprint, url: theirs.url, trustAnchors: [pem] }),
    ]);
    await ask(blockDevices, { ...ada, reason: 'lost', fingerprints: [fingerprint] });
    expect((await scene.bootstrap(identity)).status).toBe(403);
  });

  test('of a whole account; removed, devices get their handoff here again', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    await scene.claim(fingerprint);
    await ask(setRedirect, { ...theirs, account: ACCOUNT, subject: { account: ACCOUNT }, trustAnchors: [] });
    expect((await scene.bootstrap(identity)).status).toBe(307);
    expect((await ask(listRedirects, { account: ACCOUNT })).items).toHaveLength(1);
    await ask(removeRedirect, { ...ada, subject: { account: ACCOUNT } });
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('F66: nobody sends away another’s device, nor one that he gave up', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const send = (account: string, subject: { fingerprint: string } | { account: string }) =>
      ask(setRedirect, { ...theirs, account, subject, trustAnchors: [] });
    await expect(send('rival', { fingerprint })).rejects.toMatchObject({ code: 'unknown-device' });
    await expect(send('rival', { fingerprint: 'e'.repeat(64) })).rejects.toMatchObject({
      code: 'unknown-device',
    });
    await expect(send('rival', { account: ACCOUNT })).rejects.toMatchObject({ code: 'unknown-device' });
    await send(ACCOUNT, { fingerprint });
    await scene.claim(fingerprint, { account: 'buyer' });
    expect((await scene.bootstrap(identity)).status).toBe(200);
  });

  test('the platform sends on what it does not know itself', async () => {
    const stranger = scene.fixture.pki.bootstrap('ghost-1');
    const { fingerprint } = stranger.certificate;
    await ask(setRedirect, {
      ...theirs,
      account: PLATFORM_ACCOUNT,
      subject: { fingerprint },
      trustAnchors: [],
    });
    expect((await scene.bootstrap(stranger)).status).toBe(307);
  });

  test('what is no root is none', async () => {
    const { fingerprint, identity } = await scene.make('pump-1');
    const set = ask(setRedirect, {
      ...theirs,
      account: ACCOUNT,
      subject: { fingerprint },
      trustAnchors: [identity.cert],
    });
    await expect(set).rejects.toMatchObject({ code: 'bad-certificate', field: 'trustAnchors.0' });
  });
});
