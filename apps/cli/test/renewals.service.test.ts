import { join } from 'node:path';
import { DeviceFolder, leaf, onboard } from '@signet/agent';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000 });

let env: DevEnv;
let terminal: Terminal;
let serialNumber: string;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
  const [signed] = (await signet('factory', 'sign', '--new', 'dev-1', '--out', 'dev-1', '--json')).split(
    '\n',
  );
  const { fingerprint } = JSON.parse(signed ?? '') as { fingerprint: string };
  await signet('devices', 'claim', fingerprint);
  serialNumber = leaf(await onboard(new DeviceFolder(join(terminal.folder, 'dev-1')))).serialNumber;
});
afterAll(() => stack.disposeAsync());

async function signet(...args: string[]): Promise<string> {
  const { code, out, err } = await terminal.signet(...args);
  expect([code, err]).toEqual([0, '']);
  return out;
}
type Certificates = { items: { serialNumber: string; revokedAt?: string; revocationReason?: string }[] };
const recorded = async () => {
  const { items } = await env.operator.get<Certificates>('/v1/accounts/acme/certificates?deviceId=dev-1');
  return items.find((certificate) => certificate.serialNumber === serialNumber);
};
type Audit = { items: { method: string; path: string; status: number; operator?: string }[] };

describe('signet grant-renewal', () => {
  it('F79: lets a named device renew once, for so many hours, and is in the audit log', async () => {
    const before = Date.now();
    const granted = JSON.parse(await signet('grant-renewal', 'dev-1', '--hours', '5', '--json')) as {
      account: string;
      deviceId: string;
      expiresAt: string;
    };
    expect(granted).toMatchObject({ account: 'acme', deviceId: 'dev-1' });
    expect(Math.abs(Date.parse(granted.expiresAt) - before - 5 * 3_600_000)).toBeLessThan(60_000);
    expect(await signet('grant-renewal', 'dev-1')).toMatch(/^acme\/dev-1 may renew once, until 20/);
    const { items } = await env.operator.get<Audit>('/v1/accounts/acme/audit');
    expect(items).toContainEqual(
      expect.objectContaining({
        method: 'POST',
        path: '/v1/accounts/acme/devices/dev-1/renewal-grant',
        status: 200,
      }),
    );
  });

  it('F79: is refused for a device that never had a certificate, and for no number of hours', async () => {
    const unknown = await terminal.signet('grant-renewal', 'nobody');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringMatching(/^signet: unknown-device: /)]);
    const never = await terminal.signet('grant-renewal', 'dev-1', '--hours', 'soon');
    expect([never.code, never.err]).toEqual([1, expect.stringMatching(/^signet: .*hours/)]);
  });
});

describe('signet certificates unhold', () => {
  it('lifts a hold: the certificate is not revoked any more, and the second time nothing changes', async () => {
    await signet('certificates', 'revoke', serialNumber, '--reason', 'certificateHold');
    expect(await recorded()).toMatchObject({ revocationReason: 'certificateHold' });
    expect(await signet('certificates', 'unhold', serialNumber)).toBe('valid again\n');
    expect((await recorded())?.revokedAt).toBeUndefined();
    expect(await signet('certificates', 'unhold', serialNumber)).toBe('was not revoked\n');
  });

  it('is refused for a certificate that is revoked for good, or is none', async () => {
    await signet('certificates', 'revoke', serialNumber, '--reason', 'keyCompromise');
    const gone = await terminal.signet('certificates', 'unhold', serialNumber);
    expect([gone.code, gone.err]).toEqual([
      1,
      expect.stringMatching(/^signet: not-on-hold: .*keyCompromise/),
    ]);
    const none = await terminal.signet('certificates', 'unhold', 'ab'.repeat(16));
    expect([none.code, none.err]).toEqual([1, expect.stringMatching(/^signet: unknown-certificate: /)]);
  });
});

describe('signet devices show', () => {
  it('names the profile that the device was moved to, and who moved it, until it is reset', async () => {
    await signet('profiles', 'create', 'line', '--set', 'validityDays=60');
    expect(await signet('devices', 'show', 'dev-1')).not.toMatch(/^profile/m);
    await signet('devices', 'set-profile', 'dev-1', 'line');
    expect(await signet('devices', 'show', 'dev-1')).toMatch(
      /^profile +acme\.line \(moved by \S+ at 20\S+Z\)$/m,
    );
    await signet('devices', 'reset', 'dev-1');
    await vi.waitFor(
      async () => expect(await signet('devices', 'show', 'dev-1')).not.toMatch(/^profile/m),
      10_000,
    );
  });
});
