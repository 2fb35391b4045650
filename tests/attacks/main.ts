import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { EventLog, OperatorClient, trustAnchors } from '@signet/dev-env';
import type { Target } from './attack.ts';
import { type Case, loadCases } from './cases.ts';
import { AttackedPlatform, readLog } from './platform.ts';

const USAGE = `node tests/attacks/main.ts [name or number …] [--data <folder of a running platform>]

Without --data each attack meets a platform that is started for it.
With --data it meets the one that runs on that folder, on the ports that SIGNET_…_PORT name or on the usual ones;
attacks that need a platform of their own are left out.
`;

/** The platform that runs on a data folder of this machine. */
async function running(dataDir: string): Promise<Target & AsyncDisposable> {
  const port = (name: string, usual: number) => Number(process.env[`SIGNET_${name}_PORT`] ?? usual);
  const ports = {
    est: port('EST', 8443),
    http: port('EST_HTTP', 8081),
    mqtt: port('MQTT', 8883),
    mqttProvisioning: port('MQTT_PROVISIONING', 8884),
    gateway: port('GATEWAY', 8445),
    bootstrap: port('BOOTSTRAP', 8444),
    admin: port('ADMIN', 8080),
    health: port('HEALTH', 9464),
  };
  const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
  const operator = new OperatorClient({ url: `http://127.0.0.1:${ports.admin}`, token });
  const roots = await trustAnchors(operator);
  const folder = await mkdtemp(join(tmpdir(), 'signet-attacker-'));
  const events = new EventLog(operator);
  return {
    ...{ ports, operator, events, roots, dataDir, folder },
    log: () => readLog(dataDir),
    async [Symbol.asyncDispose]() {
      await events[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns whether the attack was stopped; undefined where it was left out */
async function attempt({ attack }: Case, dataDir: string | undefined): Promise<unknown> {
  try {
    if (dataDir === undefined) {
      await using own = await AttackedPlatform.start(attack.platform?.environment);
      await attack.run(own);
    } else if (attack.platform === undefined) {
      await using target = await running(dataDir);
      await attack.run(target);
    } else {
      return 'left out: it needs a platform of its own';
    }
    return undefined;
  } catch (error) {
    process.exitCode = 1;
    return error;
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { data: { type: 'string' }, help: { type: 'boolean' } },
});
if (values.help === true) {
  process.stdout.write(USAGE);
} else {
  const all = await loadCases();
  const wanted = all.filter(
    ({ name, attack }) =>
      positionals.length === 0 || positionals.includes(name) || positionals.includes(String(attack.number)),
  );
  if (wanted.length === 0) {
    process.stderr.write(`no such attack; there are:\n${all.map(({ name }) => `  ${name}\n`).join('')}`);
    process.exitCode = 2;
  }
  for (const one of wanted) {
    process.stdout.write(`${one.attack.number} ${one.name}: ${one.attack.tries}\n`);
    const outcome = await attempt(one, values.data);
    const text = outcome instanceof Error ? `SUCCEEDED: ${outcome.stack}` : (outcome ?? 'stopped');
    process.stdout.write(`  ${text}\n`);
  }
}
