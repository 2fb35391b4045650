import { PLATFORM_ACCOUNT } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onboard, rotate } from '../src/index.ts';
import { TestFactory } from './devices.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

type Status = { adoption: { account: string; devices: number; adopted: number }[] };

describe('trust anchors', () => {
  it('F85: come anew with each renewal, are counted, and a device goes on when the old root is out of force', async () => {
    const base = `/v1/accounts/${PLATFORM_ACCOUNT}/authorities`;
    const { folder } = await factory.claimed('anchored');
    await onboard(folder);
    const before = (await folder.bundle())?.trustAnchors ?? [];
    const begun = await env.operator.post<{ authority: { certificate: string } }>(
      `${base}/actions/replace-root`,
      {},
    );
    const { certificate } = begun.authority;
    const counted = () => env.operator.get<Status>(`${base}/replacement`);
    expect((await counted()).adoption).toEqual([{ account: 'acme', devices: 1, adopted: 0 }]);

    await rotate(folder);
    const both = (await folder.bundle())?.trustAnchors ?? [];
    expect(new Set(both)).toEqual(new Set([...before, certificate]));
    expect((await counted()).adoption).toEqual([{ account: 'acme', devices: 1, adopted: 1 }]);

    await env.operator.post(`${base}/actions/finish-replacement`, {});
    await rotate(folder);
    expect((await folder.bundle())?.trustAnchors).toEqual([certificate]);
    await expect
      .poll(
        async () =>
          rotate(folder).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
  });
});
