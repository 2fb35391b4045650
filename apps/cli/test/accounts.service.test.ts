import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

vi.setConfig({ testTimeout: 180_000 });

const DAY = 86_400_000;
const stack = new AsyncDisposableStack();
let ahead = 0;
let terminal: Terminal;
beforeAll(async () => {
  const env: DevEnv = stack.use(await startDevEnv({ now: () => Date.now() + ahead }));
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

/** What a command of accounts says, which must succeed. */
async function accounts(...args: string[]): Promise<string> {
  const { code, out, err } = await terminal.signet('accounts', ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

it('deletes an account in two steps, seven days apart, and says what goes and what stays', async () => {
  await accounts('create', 'gone');
  const marked = await accounts('delete', 'gone');
  expect(marked).toContain('account gone is marked for deletion, and suspended');
  expect(marked).toContain('signet accounts delete gone --confirm');
  const early = await terminal.signet('accounts', 'delete', 'gone', '--confirm');
  expect(early.code).not.toBe(0);
  expect(early.err).toContain('"gone" may be deleted from');

  ahead += 7 * DAY;
  expect(await accounts('delete', 'gone', '--confirm')).toContain('account gone is deleted');
  expect(await accounts('show', 'gone')).toMatch(/state\s+deleted/);
  const again = await terminal.signet('accounts', 'create', 'gone');
  expect(again.code).not.toBe(0);
  expect(again.err).toContain('"gone" was deleted');
});

it('calls a deletion off, and then refuses its second step', async () => {
  await accounts('create', 'saved');
  await accounts('delete', 'saved');
  expect(await accounts('resume', 'saved')).toContain('account saved is active');
  ahead += 8 * DAY;
  const refused = await terminal.signet('accounts', 'delete', 'saved', '--confirm');
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('"saved" is not marked for deletion');
});

it('suspends an account with its devices, shows that, and lists each account as a line of JSON', async () => {
  await accounts('create', 'night');
  expect(await accounts('suspend', 'night')).toContain('its live devices go on');
  expect(await accounts('suspend', 'night', '--devices')).toContain('its devices are cut off');
  expect(await accounts('show', 'night')).toMatch(/devices\s+cut off/);
  const lines = (await accounts('list', '--json')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ account: 'night', state: 'suspended', devices: true }),
  );
  await accounts('resume', 'night');
  expect(await accounts('show', 'night')).not.toContain('cut off');
});
