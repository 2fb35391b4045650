import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimCodeOf, listAuthorities } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Terminal } from './signet.ts';

/** Every command is a process of its own. */
vi.setConfig({ testTimeout: 180_000 });

let env: DevEnv;
let terminal: Terminal;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  terminal = stack.use(await Terminal.open(env));
});
afterAll(() => stack.disposeAsync());

async function make(id: string): Promise<string> {
  const done = await terminal.signet('factory', 'sign', '--new', id, '--json');
  return (JSON.parse(done.out) as { fingerprint: string }).fingerprint;
}

async function claimFile(text: string, ...args: string[]) {
  const file = join(terminal.folder, 'claims.csv');
  await writeFile(file, text);
  return terminal.signet('devices', 'claim', '--csv', file, ...args);
}

describe('claims by a CSV file', () => {
  it('say of each line what came of it, and are safe to repeat', async () => {
    const [one, two, theirs, blocked] = [
      await make('csv-1'),
      await make('csv-2'),
      await make('csv-3'),
      await make('csv-4'),
    ];
    await env.operator.post('/v1/accounts/globex/devices', { fingerprint: theirs });
    expect((await terminal.signet('devices', 'block', '--fingerprint', blocked)).code).toBe(0);
    const text = [
      '\uFEFFfingerprint;deviceId;group',
      `${one};hall-1;`,
      `${two.toUpperCase()};;lift`,
      `${theirs};;`,
      `${blocked};;`,
      `${'e'.repeat(64)};;`,
      `${one};hall-1;`,
      'half a li',
      '',
    ].join('\r\n');
    const done = await claimFile(text, '--group', 'hall', '--json');
    const report = done.out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as object);
    expect(report).toEqual([
      { line: 2, outcome: 'claimed', fingerprint: one, deviceId: 'hall-1' },
      { line: 3, outcome: 'claimed', fingerprint: two, deviceId: 'csv-2' },
      expect.objectContaining({ line: 4, outcome: 'anothers' }),
      expect.objectContaining({ line: 5, outcome: 'blocked' }),
      expect.objectContaining({ line: 6, outcome: 'unknown' }),
      { line: 7, outcome: 'already-yours', fingerprint: one, deviceId: 'hall-1', duplicateOf: 2 },
      { line: 8, outcome: 'bad-line', message: '1 fields where the first line has 3' },
      {
        done: true,
        lines: 7,
        outcomes: { claimed: 2, anothers: 1, blocked: 1, unknown: 1, 'already-yours': 1, 'bad-line': 1 },
      },
    ]);
    expect(done).toMatchObject({ code: 1, err: 'signet: 4 of 7 lines are not claimed\n' });
    expect(done.out).not.toContain('globex');
    const groups = await terminal.signet('devices', 'list', '--group', 'hall', '--json');
    expect(groups.out).toContain('hall-1');
    const again = await claimFile(`fingerprint,deviceId\n${one},hall-1\n`);
    expect(again).toMatchObject({ code: 0, out: '1 lines, 1 already-yours\n' });
    const moved = await claimFile(`fingerprint,deviceId,group\n${one},hall-1,lift\n`);
    expect(moved).toMatchObject({
      code: 0,
      out: [
        `line 2: already-yours ${one}: group: the device was claimed before and is not moved;`,
        'put it into "lift" by `signet groups add`\n1 lines, 1 already-yours\n',
      ].join(' '),
    });
    const single = await terminal.signet('devices', 'claim', one, '--id', 'hall-1', '--group', 'lift');
    expect(single).toMatchObject({
      code: 0,
      out: 'acme/hall-1 is claimed; it was claimed before and is not moved: signet groups add lift hall-1\n',
    });
  });

  it('with wrong columns claim nothing', async () => {
    const done = await claimFile('serial,colour\n1,blue\n');
    expect(done).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^signet: bad-csv: line 1: "colour" is no column; the first line names/),
    });
    expect((await terminal.signet('devices', 'claim', '--csv', 'nowhere.csv')).err).toMatch(
      /^signet: nowhere.csv: no such file or folder/,
    );
    expect((await terminal.signet('devices', 'claim')).err).toMatch(/^signet: name a device/);
  });

  it('of 20,000 lines that nobody made come back line by line', async () => {
    const lines = Array.from({ length: 20_000 }, (_, n) => n.toString(16).padStart(64, 'a'));
    const done = await claimFile(`fingerprint\n${lines.join('\n')}\n`, '--json');
    const numbers = done.out.match(/^\{"line":\d+/gm);
    expect(numbers).toHaveLength(20_000);
    expect(done.out).toContain('{"done":true,"lines":20000,"outcomes":{"unknown":20000}}');
  });
});

it('F63: a device is claimed by the code of its label; a role that may only look gets 403', async () => {
  const fingerprint = await make('label-1');
  const done = await terminal.signet('devices', 'claim', claimCodeOf(fingerprint).toLowerCase());
  expect(done).toMatchObject({ code: 0, out: 'acme/label-1 is claimed\n' });
  const { token } = await env.operator.post<{ token: string }>('/v1/tokens', {
    name: 'looker',
    grants: [{ account: 'acme', role: 'viewer' }],
  });
  const refused = await terminal.signet('devices', 'claim', fingerprint, '--token', token);
  expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^signet: forbidden: /) });
});

it('F61: a block beforehand is added, listed, refused by, and removed', async () => {
  const add = await terminal.signet(
    'blocks',
    'add',
    '--serials',
    'lost-1..lost-9',
    '--reason',
    'pallet stolen',
  );
  expect(add).toMatchObject({ code: 0, out: 'blocked: acme/serial/lost-1..lost-9\n' });
  const fingerprint = await make('lost-5');
  expect((await terminal.signet('devices', 'claim', fingerprint)).err).toBe(
    'signet: blocked: fingerprint: the device is blocked: pallet stolen\n',
  );
  expect((await terminal.signet('blocks', 'list')).out).toContain('pallet stolen');
  expect((await terminal.signet('blocks', 'remove', 'acme/serial/lost-1..lost-9')).code).toBe(0);
  expect((await terminal.signet('devices', 'claim', fingerprint)).code).toBe(0);
  expect((await terminal.signet('blocks', 'add', '--reason', 'x')).err).toMatch(/^signet: give one of/);
});

it('F67: reset and given up by their ids', async () => {
  const fingerprint = await make('old-1');
  await terminal.signet('devices', 'claim', fingerprint);
  expect((await terminal.signet('devices', 'reset', 'old-1')).out).toBe('old-1 is reset\n');
  expect((await terminal.signet('devices', 'unclaim', 'old-1')).out).toBe('old-1 is given up\n');
  expect((await terminal.signet('devices', 'show', 'old-1')).code).toBe(1);
});

it('settings of the account are shown and changed', async () => {
  expect((await terminal.signet('account', 'set', 'mqttCredentials', 'true')).code).toBe(0);
  expect((await terminal.signet('account', 'set', 'config.interval', '30')).code).toBe(0);
  const shown = JSON.parse((await terminal.signet('account', 'show', '--json')).out) as object;
  expect(shown).toMatchObject({ mqttCredentials: true, config: { interval: '30' }, handsOver: 'either' });
  expect((await terminal.signet('account', 'set', 'handsOver', 'nobody')).err).toMatch(
    /^signet: invalid-input/,
  );
  expect((await terminal.signet('account', 'set', 'config.interval', '')).code).toBe(0);
});

it('F65: the hook is set, shown and removed; a private address is refused', async () => {
  const set = await terminal.signet('hooks', 'set', 'https://hooks.example/signet', '--json');
  expect(JSON.parse(set.out)).toMatchObject({ secret: expect.stringMatching(/^whsec_/) });
  const shown = await terminal.signet('hooks', 'show');
  expect(shown.out).toContain('https://hooks.example/signet');
  expect(shown.out).not.toContain('whsec_');
  expect((await terminal.signet('hooks', 'remove')).code).toBe(0);
  expect((await terminal.signet('hooks', 'set', 'https://10.0.0.1/')).err).toMatch(/^signet: bad-url: /);
});

it('F59: redirects are set, listed and removed', async () => {
  const { authorities } = await env.deps.bus.request(listAuthorities, {});
  const trust = join(terminal.folder, 'eu-root.pem');
  await writeFile(trust, authorities.find(({ kind }) => kind === 'root')?.certificate ?? '');
  expect(await readFile(trust, 'utf8')).toContain('BEGIN');
  const set = await terminal.signet('redirects', 'set', 'https://eu.example:8444', '--trust', trust);
  expect(set).toMatchObject({ code: 0, out: 'redirected to https://eu.example:8444\n' });
  expect((await terminal.signet('redirects', 'list')).out).toContain('https://eu.example:8444');
  expect((await terminal.signet('redirects', 'remove')).code).toBe(0);
  expect((await terminal.signet('redirects', 'remove')).err).toMatch(/^signet: unknown-redirect: /);
});
