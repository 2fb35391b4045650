import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { claimDevices, factoryLog, factorySign } from '@signet/contracts';
import { askReadiness, OperatorClient, trustAnchors, untilReady } from '@signet/dev-env';
import { createLogger, openRuntime, parseConfig } from '@signet/service';
import { standaloneConfig, startPlatform } from '@signet/standalone';
import { embedded } from '../est/environment.ts';

/** The platform in embedded mode as a process of its own; what it made and used is asked over the process channel. */
export type Asked =
  | { readonly ask: 'make'; readonly csrs: readonly string[] }
  | { readonly ask: 'cpu' }
  | { readonly ask: 'rss' }
  | { readonly ask: 'pages' };

export type Started = {
  readonly port: number;
  readonly anchors: string;
  readonly api: { readonly url: string; readonly token: string };
};

const ACCOUNT = 'bench';
const folder = process.env.SIGNET_BENCH_FOLDER ?? '';
const ports = ['MQTT', 'MQTT_PROVISIONING', 'GATEWAY', 'BOOTSTRAP', 'ADMIN'];
const config = parseConfig(standaloneConfig, {
  ...embedded(folder),
  ...Object.fromEntries(ports.map((name) => [`SIGNET_${name}_PORT`, '0'])),
  SIGNET_ACCOUNT: ACCOUNT,
  ...process.env,
});
const log = createLogger({
  service: 'signet',
  level: config.SIGNET_LOG_LEVEL,
  destination: { write: () => undefined },
});
const runtime = await openRuntime('signet', config, { log });
const platform = await startPlatform(config, runtime.deps);
runtime.started();
await untilReady(() => askReadiness(runtime.healthPort));
const { bus } = runtime.deps;

const answers = {
  /** Bootstrap certificates of devices that the account has claimed. */
  async make({ csrs }: Extract<Asked, { ask: 'make' }>) {
    const { results } = await bus.request(
      factorySign,
      { account: ACCOUNT, items: csrs.map((csr) => ({ csr })), by: 'bench' },
      { deadlineMs: 60_000 },
    );
    const made = results.map((result) => {
      if ('error' in result) throw new Error(result.error.message);
      return result;
    });
    const items = made.map(({ fingerprint }) => ({ fingerprint }));
    await bus.request(claimDevices, { account: ACCOUNT, items, by: 'bench' }, { deadlineMs: 60_000 });
    return made.map(({ certificate }) => certificate);
  },
  async cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  async rss() {
    return process.resourceUsage().maxRSS / 1024;
  },
  /** Milliseconds of a page of 100 from each thousandth record on, as the API asks for it. */
  async pages() {
    const times: number[] = [];
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? {} : { cursor };
      const start = performance.now();
      await bus.request(factoryLog, { account: ACCOUNT, limit: 100, ...from });
      times.push(performance.now() - start);
      cursor = (await bus.request(factoryLog, { account: ACCOUNT, limit: 1000, ...from })).next;
    } while (cursor !== undefined);
    return times;
  },
};

process.on('message', (asked: Asked) => {
  const answer = answers[asked.ask] as (asked: Asked) => Promise<unknown>;
  answer(asked).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
const api = {
  url: platform.admin.url,
  token: (await readFile(join(folder, 'admin-token'), 'utf8')).trim(),
};
const started: Started = {
  port: platform.ports.bootstrap ?? 0,
  anchors: await trustAnchors(new OperatorClient(api)),
  api,
};
process.send?.({ value: started });
