import { join } from 'node:path';
import {
  createAuthorities,
  describeAuthorities,
  finishRootReplacement,
  replaceRoot,
} from '@signet/contracts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openKeyStores } from '../src/adapters/key-stores.ts';
import { openCollections } from '../src/collections.ts';
import { publicUrls } from '../src/domain/authority/revocation-urls.ts';
import {
  type FinishDeps,
  finishReplacement,
  resumeReplacements,
} from '../src/domain/root-rollover/finish-replacement.ts';
import { replaceRoot as begin } from '../src/domain/root-rollover/replace-root.ts';
import { call } from './support/est-client.ts';
import { type EstFixture, openEstFixture } from './support/est-fixture.ts';
import { type EnrolledDevice, enrolledDevice } from './support/scene.ts';

const by = 'ada';
/** Writes of `replace-root`: the key id, the new root, three CAs; and of the cut-over: decision, three CAs, both roots. */
const [BEGIN_WRITES, FINISH_WRITES] = [5, 6];
const noAdoption = { adoption: [], withoutCount: 0, without: [], live: new Map<string, number>() };

let est: EstFixture;
const stack = new AsyncDisposableStack();
let whole: FinishDeps & Parameters<typeof begin>[0];
beforeAll(async () => {
  est = stack.use(await openEstFixture());
  const { store, now } = est.fixture.deps;
  const collections = await openCollections(store);
  const keys = stack.use(
    await openKeyStores({ folder: join(est.fixture.dataDir, 'est-ca', 'keys'), custody: 'file' }),
  );
  whole = {
    ...collections,
    ...{ statements: collections.usedStatements, keys, now, maxPerAccount: 100 },
    urls: publicUrls('http://est.example'),
    requests: collections.authorityRequests,
    adoptionOf: async () => noAdoption,
    neededValidity: async () => ({ profile: 'default', days: 90 }),
  } as typeof whole;
});
afterAll(() => stack.disposeAsync());

class Cut extends Error {}

/** The same collaborators, in a process that ends before its write number `writes`. */
function cutBefore(writes: number): typeof whole {
  let left = writes;
  const cutting = <T extends object>(collection: T): T =>
    new Proxy(collection, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        const run = found.bind(target);
        if (name !== 'insert' && name !== 'update') return run;
        return async (...args: unknown[]) => {
          if (left-- <= 0) throw new Cut();
          return run(...args);
        };
      },
    });
  const { authorities, authorityKeys } = whole;
  return { ...whole, authorities: cutting(authorities), authorityKeys: cutting(authorityKeys) };
}

const request: EstFixture['fixture']['deps']['bus']['request'] = (...args) =>
  est.fixture.deps.bus.request(...args);

async function scene(account: string) {
  await request(createAuthorities, { account, by });
  return enrolledDevice(est, 'dev-1', account);
}

async function isAdmitted({ operational }: EnrolledDevice): Promise<void> {
  const asked = { path: '/.well-known/est/cacerts', identity: operational };
  await vi.waitFor(async () => expect((await call(est, asked)).status).toBe(200), { timeout: 15_000 });
}

/** That all CAs of the account stand below the newest of its roots, and that this one is in force. */
async function allBelow(account: string, roots: number): Promise<void> {
  const { authorities } = await request(describeAuthorities, { account });
  const last = authorities.find(({ authorityId }) => authorityId === `root-${account}-${roots}`);
  expect(last?.state).toBe('active');
  expect(last?.replacement?.finishedAt).toBeDefined();
  for (const { kind, parent } of authorities)
    if (kind !== 'root') expect(parent).toBe(`root-${account}-${roots}`);
  const before = authorities.find(({ authorityId }) => authorityId === `root-${account}-${roots - 1}`);
  expect(before?.state).toBe('disabled');
}

/** The device goes on, and the next replacement takes all CAs along. */
async function goesOn(account: string, device: EnrolledDevice): Promise<void> {
  await allBelow(account, 2);
  await isAdmitted(device);
  await request(replaceRoot, { account, by });
  await request(finishRootReplacement, { account, force: true, by });
  await allBelow(account, 3);
  await isAdmitted(device);
}

describe('replace-root that is cut off', { timeout: 120_000 }, () => {
  it.each(Array.from({ length: BEGIN_WRITES }, (_, i) => i))(
    'F85: before write %i, repeated and then cut over, cuts no device off',
    async (writes) => {
      const account = `begin-${writes}`;
      const device = await scene(account);
      await expect(begin(cutBefore(writes), { account, by })).rejects.toThrow(Cut);
      await isAdmitted(device);
      await request(replaceRoot, { account, by });
      await request(finishRootReplacement, { account, force: true, by });
      await goesOn(account, device);
    },
  );

  it.each([2, 3, 4])(
    'F85: before write %i and then forced to its end, cuts no device off, and strands no CA in silence',
    async (writes) => {
      const account = `forced-${writes}`;
      const device = await scene(account);
      await expect(begin(cutBefore(writes), { account, by })).rejects.toThrow(Cut);
      const done = await request(finishRootReplacement, { account, force: true, by });
      expect(done).toMatchObject({ strandedAuthorities: [], unverified: [] });
      await goesOn(account, device);
    },
  );
});

describe('a cut-over that is cut off', { timeout: 120_000 }, () => {
  it.each(Array.from({ length: FINISH_WRITES }, (_, i) => i))(
    'F85: before write %i, is completed by repeating it, forced or not, and no device is cut off meanwhile',
    async (writes) => {
      const account = `finish-${writes}`;
      const device = await scene(account);
      await begin(whole, { account, by });
      const cut = finishReplacement(cutBefore(writes), { account, force: true, by });
      await expect(cut).rejects.toThrow(Cut);
      await isAdmitted(device);
      // the service may have taken it up by itself meanwhile
      await request(finishRootReplacement, { account, force: writes % 2 === 0 || writes === 0, by }).catch(
        (error: { code?: string }) => expect(error.code).toBe('no-replacement'),
      );
      await goesOn(account, device);
    },
  );

  it('F85: is gone through with by a service that starts, without another word of the operator', async () => {
    const account = 'resumed';
    const device = await scene(account);
    await begin(whole, { account, by });
    await expect(finishReplacement(cutBefore(3), { account, force: true, by })).rejects.toThrow(Cut);
    await resumeReplacements(whole);
    await goesOn(account, device);
  });
});

describe('a replacement that an earlier release cut off', () => {
  it('F85: is told, and mended by repeating finish-replacement: its CAs were left below a root out of force', async () => {
    const account = 'left';
    const device = await scene(account);
    await expect(begin(cutBefore(2), { account, by })).rejects.toThrow(Cut);
    const at = new Date().toISOString();
    const { authorities } = whole;
    await authorities.update(`root-${account}-1`, (root) => ({ document: { ...root, state: 'disabled' } }));
    await authorities.update(`root-${account}-2`, (root) => ({
      document: { ...root, replacement: { replaces: `root-${account}-1`, since: at, finishedAt: at } },
    }));
    const problems = await resumeReplacements(whole);
    expect(problems.filter((text) => text.includes(`"${account}"`))).toHaveLength(3);
    expect(problems.join()).toContain(`"root-${account}-2" has replaced`);
    await request(finishRootReplacement, { account, force: false, by });
    await goesOn(account, device);
    expect((await resumeReplacements(whole)).filter((text) => text.includes(`"${account}"`))).toEqual([]);
  });
});
