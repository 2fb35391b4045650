import { afterAll, beforeAll, expect, it } from 'vitest';
import { deviceTpms, forgetTpm, pinTpm, unpinTpm } from '../src/domain/attestation/tpm-records.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';

let est: EstFixture;
beforeAll(async () => {
  est = await openEstFixture();
});
afterAll(() => est?.[Symbol.asyncDispose]());

it('a device that was reset while its certificate was made may come with another TPM', async () => {
  const tpms = await est.fixture.deps.store.collection(deviceTpms);
  const device = { account: ACCOUNT, deviceId: 'dev-reset' };
  const tpm = (digit: string) => ({ caId: 'c'.repeat(64), tpmKey: digit.repeat(64) });
  const [first, second] = [tpm('a'), tpm('b')];
  const now = Date.now();
  const pin = await pinTpm(tpms, device, first, now);
  // the reset was decided before the TPM was pinned, and does not see it
  await forgetTpm(tpms, device, { at: now - 1 });
  await expect(pinTpm(tpms, device, second, now)).rejects.toMatchObject({ code: 'other-tpm' });
  await unpinTpm(tpms, pin ?? expect.unreachable());
  expect(await pinTpm(tpms, device, second, now)).toMatchObject({ tpmKey: second.tpmKey });
  // nobody takes back what another request pinned
  await unpinTpm(tpms, pin ?? expect.unreachable());
  expect(await tpms.get(`${ACCOUNT}/dev-reset`)).toMatchObject({ tpmKey: second.tpmKey });
});
