import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { mqttSubject } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { bundleAgent } from '../apps/agent/pack/pack-agent.ts';
import { TestFactory } from '../apps/agent/test/devices.ts';

const MESSAGES = 5000;
const MESSAGE_BYTES = 1024;
const CONFIGS = 30;
const CONFIG_BYTES = 16_384;
const DEADLINE_MS = 120_000;

type Memory = { readonly peakMb: number; readonly afterMb: number };

/**
 * Memory of a running agent (`signet-agent run`, its whole process) against the platform in embedded mode: it onboards,
 * takes 5,000 messages of 1 KiB and 30 configs of 16 KiB, and rotates its key. `rssMb` is the most that the packaged agent
 * had at any time with the options of Node that its systemd unit sets; beside it without them, and from the sources, whose
 * types Node strips as it goes.
 */
export async function agent(): Promise<object> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-bench-'));
  await using env = await startDevEnv();
  await using factory = await TestFactory.open(env);
  try {
    const bundle = join(folder, 'signet-agent.js');
    await bundleAgent(bundle);
    const packaged = await measured(env, factory, 'packaged', bundle, await unitOptions());
    const byHand = await measured(env, factory, 'by-hand', bundle);
    const sources = resolve(import.meta.dirname, '../apps/agent/src/main.ts');
    const fromSource = await measured(env, factory, 'from-source', sources);
    const node = process.version;
    return { bench: 'agent', node, rssMb: packaged.peakMb, afterMb: packaged.afterMb, byHand, fromSource };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function unitOptions(): Promise<string> {
  const unit = await readFile(resolve(import.meta.dirname, '../deploy/agent/signet-agent.service'), 'utf8');
  const [, options = ''] = /^Environment=NODE_OPTIONS=(.+)$/m.exec(unit) ?? [];
  return options;
}

async function measured(
  env: DevEnv,
  factory: TestFactory,
  id: string,
  program: string,
  nodeOptions = '',
): Promise<Memory> {
  const { folder } = await factory.claimed(id);
  const child = spawn(process.execPath, [program, '--folder', folder.path, 'run'], {
    env: { ...process.env, NODE_OPTIONS: nodeOptions },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const seen = new Map<string, number>();
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    for (const [, step = ''] of text.matchAll(/^\S+Z (\S+)/gm)) seen.set(step, (seen.get(step) ?? 0) + 1);
  });
  const until = async (step: string, count: number) => {
    const late = performance.now() + DEADLINE_MS;
    while ((seen.get(step) ?? 0) < count) {
      if (performance.now() > late) throw new Error(`${id}: ${step} ${seen.get(step) ?? 0} of ${count}`);
      await setTimeout(20);
    }
  };
  try {
    await until('connected', 1);
    const payload = Buffer.alloc(MESSAGE_BYTES, 'x');
    for (let sent = 0; sent < MESSAGES; sent++) {
      await env.deps.bus.send(mqttSubject('acme', id, 'down', ['load', String(sent % 10)]), payload, {
        stored: true,
      });
      // no more than a broker holds for one device
      if (sent % 100 === 99) await until('message', sent + 1);
    }
    for (let version = 1; version <= CONFIGS; version++) {
      const value = `${version} ${'y'.repeat(CONFIG_BYTES)}`;
      const files = [{ name: 'load', value, unencrypted: true }];
      await env.operator.put(`/v1/accounts/acme/devices/${id}/config`, { files });
      await until('config-applied', version);
    }
    await env.operator.post('/v1/accounts/acme/campaigns', { deviceIds: [id] });
    await until('renewed', 1);
    await until('connected', 2);
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
    const mb = (field: string) =>
      Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 102.4) / 10;
    return { peakMb: mb('VmHWM'), afterMb: mb('VmRSS') };
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}
