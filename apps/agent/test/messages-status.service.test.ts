import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UPDATES_FILE } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type AgentStatus, leaf, onboard, readStatus } from '../src/index.ts';
import { openQueue, openReports } from '../src/messages/device-messages.ts';
import { screen } from '../src/status-command.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const until = <T>(look: () => T) => vi.waitFor(look, 20_000);
const main = join(import.meta.dirname, '..', 'src', 'main.ts');
const status = async ({ folder }: Made, ...flags: string[]) =>
  (await promisify(execFile)(process.execPath, [main, '--folder', folder.path, 'status', ...flags])).stdout;

describe('signet-agent status', () => {
  it('before anything: the fingerprint to claim, and that there is nothing else', async () => {
    const made = await factory.make('fresh');
    expect(await status(made)).toBe(
      [
        'device       not onboarded yet',
        `bootstrap    ${made.fingerprint}`,
        'contact      none yet',
        'pending      nothing',
        'refused      never',
        '',
      ].join('\n'),
    );
  });

  it('says in one screen who it is, with which key, until when, whom it met, and that nothing is pending', async () => {
    const made = await factory.claimed('well');
    {
      await using agent = new Running(made);
      await agent.until('config-applied');
      await agent.until('renewal-planned');
      await until(async () => expect((await readStatus(made.folder)).pending.reports.messages).toBe(0));
    }
    const { serialNumber, publicKeyHash, notAfter } = leaf(
      (await made.folder.operational()) ?? expect.unreachable(),
    );
    const told: AgentStatus = JSON.parse(await status(made, '--json'));
    expect(told).toMatchObject({
      ...{ account: 'acme', deviceId: 'well', fingerprint: made.fingerprint, refusals: [] },
      certificate: {
        ...{ serialNumber, publicKeyHash, keyKind: 'file', keyType: 'ec prime256v1', expired: false },
        ...{ notAfter: new Date(notAfter).toISOString(), renewBy: 'server' },
      },
      pending: {
        ...{ enrolment: false, updates: [] },
        ...{ messages: { messages: 0, bytes: 0 }, reports: { messages: 0, bytes: 0 } },
      },
    });
    expect(told.pending).not.toHaveProperty('rotation');
    expect(Object.keys(told.contacts).sort()).toEqual(['bootstrap', 'est', 'gateway', 'mqtt']);
    for (const at of Object.values(told.contacts))
      expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(600_000);
    const lines = (await status(made)).trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(lines).toContain(`key          ${publicKeyHash} (ec prime256v1, file)`);
    expect(lines).toContain('device       acme/well');
    expect(lines).toContain('pending      nothing');
  });

  it('names all that is pending: rotation, config, software, messages and reports', async () => {
    const made = await factory.claimed('busy');
    await onboard(made.folder);
    const { folder } = made;
    await folder.putRotation({ id: 'certs-7', step: 'enrolled', startedAt: '2026-11-01T00:00:00.000Z' });
    await mkdir(join(folder.path, 'config'));
    await writeFile(join(folder.path, 'config', UPDATES_FILE), '[{"name":"pump","version":"2.0"}]');
    await writeFile(join(folder.path, 'seen.json'), '{"config":"4"}');
    await folder.putConfig({ modified: '', version: '3', body: {} });
    {
      await using queue = await openQueue(folder);
      await queue.add('a', Buffer.from('12345'));
      await queue.add('a', Buffer.from('12345'));
      await using reports = await openReports(folder);
      await reports.add('events', Buffer.from('[]'));
    }
    expect((await readStatus(folder)).pending).toEqual({
      enrolment: false,
      rotation: { id: 'certs-7', step: 'enrolled', startedAt: '2026-11-01T00:00:00.000Z' },
      config: { told: '4', applied: '3' },
      updates: [{ name: 'pump', version: '2.0' }],
      messages: { messages: 2, bytes: 50, octets: 50 },
      reports: { messages: 1, bytes: 27, octets: 27 },
    });
    expect(screen(await readStatus(folder), Date.now())).toContain(
      [
        'pending      rotation certs-7: done up to "enrolled"',
        '             config 4; in force is 3',
        '             update pump 2.0',
        '             2 messages (50 bytes)',
        '             1 report (27 bytes)',
      ].join('\n'),
    );
  });

  it('names the refusals that it met last, and says that the certificate has expired', async () => {
    const made = await factory.claimed('refused-once');
    await onboard(made.folder);
    await factory.act('block', made.id);
    const error = await new Running(made).ended;
    expect(error).toMatchObject({ code: 'refused', status: 403 });
    const { refusals, certificate } = await readStatus(made.folder, Date.now() + 91 * 86_400_000);
    expect(refusals[0]?.reason).toBe((error as Error).message);
    expect(refusals.map(({ reason }) => reason)).toContainEqual(expect.stringMatching(/^localhost:\d+: /));
    expect(certificate?.expired).toBe(true);
    expect(await status(made)).toContain(`refused      ${refusals[0]?.at} bootstrap: 403 `);
  });

  it('does without what it saw last, where that is damaged', async () => {
    const made = await factory.make('damaged');
    await writeFile(join(made.folder.path, 'seen.json'), '{"contacts":');
    expect(await readStatus(made.folder)).toMatchObject({ contacts: {}, refusals: [] });
  });
});
