import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceFolder, onboard, openMqttSession } from '@signet/agent';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Done, Terminal } from './signet.ts';

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

function output({ code, out, err }: Done): string {
  expect(err).toBe('');
  expect(code).toBe(0);
  return out.trimEnd();
}

const lines = (done: Done): Record<string, unknown>[] =>
  output(done)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('signet denylist', () => {
  it('F72: a bootstrap certificate that is denied ends the live session of the device that it became', async () => {
    const [made] = lines(await terminal.signet('factory', 'sign', '--new', 'deny-1', '--json'));
    const fingerprint = String(made?.fingerprint);
    output(await terminal.signet('devices', 'claim', fingerprint, '--group', 'line-9'));
    const folder = new DeviceFolder(join(terminal.folder, 'deny-1'));
    const identity = await onboard(folder);
    const bundle = (await folder.bundle()) ?? expect.unreachable();
    await using session = await openMqttSession(bundle, identity);
    output(await terminal.signet('denylist', 'add', '--fingerprint', fingerprint, '--reason', 'stolen'));
    await session.ended;
    await expect(openMqttSession(bundle, identity)).rejects.toMatchObject({ code: 'refused' });
  });

  it('F73: 10,000 devices in one call, from a file; searched, exported and lifted; unknown ones are counted, a few named', async () => {
    const file = join(terminal.folder, 'ids');
    const ids = Array.from({ length: 10_000 }, (_, n) => `fleet-${n}`);
    await writeFile(file, ids.join('\n'));
    const asked = ['--devices', file, '--reason', '=bad, batch', '--until', '2099-01-01T00:00:00Z'];
    const added = await terminal.signet('denylist', 'add', ...asked);
    expect(added).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^denied as of change \d+: 10000 devices\n$/),
      err: expect.stringMatching(
        /^signet: the account has no device fleet-\d+(, fleet-\d+){4} and 9995 more; denied anyway\n$/,
      ),
    });
    const [found] = lines(await terminal.signet('denylist', 'search', '--device', 'fleet-77', '--json'));
    expect(found).toMatchObject({
      kind: 'device',
      target: { account: 'acme', deviceId: 'fleet-77' },
      reason: '=bad, batch',
      expiresAt: 4_070_908_800,
    });
    expect(lines(await terminal.signet('denylist', 'search', 'fleet-999', '--json'))).toHaveLength(11);
    const csv = output(await terminal.signet('denylist', 'export', '--format', 'csv')).split('\n');
    expect(csv[0]).toBe('kind,denied,reason,by,since,until,key');
    const row = csv.filter((line) => line.startsWith('device,acme/fleet-'));
    expect(row).toHaveLength(10_000);
    expect(row[0]).toMatch(
      /^device,acme\/fleet-\d+,"'=bad, batch",operator \S+,20.*,2099-01-01T00:00:00.000Z,[0-9a-f]{32}$/,
    );
    output(await terminal.signet('denylist', 'lift', '--devices', file));
    expect(lines(await terminal.signet('denylist', 'list', '--json')).filter(isFleet)).toEqual([]);
  });

  it('F73: a group is who is in it now, by labels too, and not whom it was claimed for', async () => {
    for (const id of ['member-1', 'member-2']) {
      const [made] = lines(await terminal.signet('factory', 'sign', '--new', id, '--json'));
      output(await terminal.signet('devices', 'claim', String(made?.fingerprint)));
    }
    output(await terminal.signet('groups', 'create', 'leaky', '--labels', 'valve=old'));
    output(await terminal.signet('groups', 'label', 'member-2', 'valve=old'));
    output(await terminal.signet('denylist', 'add', '--group', 'leaky', '--reason', 'leaks'));
    const denied = lines(await terminal.signet('denylist', 'list', '--json')).map(({ target }) => target);
    expect(denied).toContainEqual({ kind: 'device', account: 'acme', deviceId: 'member-2' });
    expect(denied).not.toContainEqual({ kind: 'device', account: 'acme', deviceId: 'member-1' });
  });

  it('says what is wrong with what it was told', async () => {
    const refused = async (...args: string[]) => (await terminal.signet('denylist', ...args)).err.trimEnd();
    expect(await refused('add')).toBe('signet: give at least one target; see --help');
    expect(await refused('search')).toBe('signet: give a text or an exact target');
    expect(await refused('export', '--format', 'xml')).toBe('signet: --format: "xml" is not jsonl or csv');
    expect(await refused('add', '--certificate', 'XY')).toContain('expected <key id of the issuer>:<serial');
    expect(await refused('add', '--group', 'nobody')).toBe(
      'signet: unknown-group: group: account "acme" has no group "nobody"',
    );
  });
});

function isFleet({ target }: Record<string, unknown>): boolean {
  return String((target as { deviceId?: string }).deviceId).startsWith('fleet-');
}
