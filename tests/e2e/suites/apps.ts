import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import type { Scene } from '../support/scene.ts';
import { succeed } from '../support/tools.ts';

const apps = join(import.meta.dirname, '..', '..', '..', 'apps');
const cliMain = join(apps, 'cli', 'src', 'main.ts');
const agentMain = join(apps, 'agent', 'src', 'main.ts');
const demoMain = join(apps, 'cli', 'src', 'demo', 'main.ts');

/** The operator's command line, the device's agent and the demo, each a process of its own. */
export function appsSuite(scene: () => Scene): void {
  const access = () => {
    const { url, token } = scene().platform.env.operator;
    return ['--url', url, '--token', token, '--account', scene().account];
  };
  const bootstrapUrl = () => `https://localhost:${scene().platform.env.ports.bootstrap}`;
  const cli = async <T>(...args: string[]): Promise<T> => {
    const { stdout } = await succeed(scene().run, process.execPath, cliMain, ...access(), '--json', ...args);
    return JSON.parse(stdout.toString()) as T;
  };

  describe('the command line', () => {
    test('F64 F72: makes, claims, watches and revokes a device that runs the agent', async () => {
      const { id } = scene().device('agent');
      const folder = join(scene().folder, id);
      const made = await cli<{ fingerprint: string }>(
        ...['factory', 'sign', '--new', id, '--out', folder, '--bootstrap', bootstrapUrl()],
      );
      await using onboarding = new Child(process.execPath, [agentMain, '--folder', folder, 'onboard']);
      await onboarding.line(/waiting/);
      expect(await cli('devices', 'claim', made.fingerprint)).toMatchObject({
        deviceId: id,
        state: 'claimed',
      });
      expect(await onboarding.exited).toBe(0);
      expect(onboarding.lines.join('\n')).toContain('-----BEGIN CERTIFICATE-----');

      const tailArgs = [
        '--json',
        'events',
        'tail',
        '--from',
        'start',
        '--types',
        'DEVICE_CONNECTED,DEVICE_DISCONNECTED',
      ];
      await using tail = new Child(process.execPath, [cliMain, ...access(), ...tailArgs]);
      await using running = new Child(process.execPath, [agentMain, '--folder', folder, 'run']);
      await running.line(/ connected/);
      await tail.line(new RegExp(`"DEVICE_CONNECTED".*"${id}"`));

      const revoked = await cli<{ changed: string[]; cutAfterMs: Record<string, number> }>(
        'devices',
        'revoke',
        id,
      );
      expect(revoked.changed).toEqual([id]);
      expect(revoked.cutAfterMs[id]).toBeLessThan(5000);
      await tail.line(new RegExp(`"DEVICE_DISCONNECTED".*"${id}".*"denied"`));
      expect(await running.exited).toBe(1);
      expect(await cli('devices', 'show', id)).toMatchObject({
        device: { state: 'retired' },
        refusals: expect.arrayContaining([expect.objectContaining({ code: 'denied' })]),
      });
    });

    test('tells a person in one line what is wrong, and ends with 1', async () => {
      const args = [cliMain, ...access(), 'devices', 'show', 'no-such-device'];
      const { code, stderr } = await scene().run(process.execPath, args);
      expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 1, lines: 1 });
      expect(stderr).toContain('unknown-device');
    });
  });

  test('the demo takes 20 devices through their lives, and prints one JSON line', async () => {
    const args = [demoMain, ...access(), '--bootstrap', bootstrapUrl(), '--devices', '20', '--json'];
    // ended by force if it hangs, so that it tells what it waits for
    const { code, stdout, stderr } = await scene().run('timeout', ['110', process.execPath, ...args]);
    const lines = stdout.toString().trim().split('\n');
    // what failed first, so that it is seen
    const result = JSON.parse(lines[0] || '{}') as {
      failures?: unknown[];
      revokeToDisconnectMs: { p50: number; p99: number };
    };
    expect({ code, failures: result.failures, stderr: code === 0 ? '' : stderr }).toEqual({
      code: 0,
      failures: [],
      stderr: '',
    });
    expect(lines).toHaveLength(1);
    expect(result).toMatchObject({ devices: 20, ok: 20 });
    expect(result.revokeToDisconnectMs.p50).toBeGreaterThan(0);
  });
}
