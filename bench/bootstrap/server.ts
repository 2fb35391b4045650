import process from 'node:process';
import { claimDevices, factoryLog, factorySign } from '@signet/contracts';
import { startDevEnv } from '@signet/dev-env';

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
const env = await startDevEnv({ dataDir: process.env.SIGNET_BENCH_FOLDER ?? '' });
const { bus } = env.deps;

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
const started: Started = {
  port: env.ports.bootstrap,
  anchors: env.deps.door.trust.anchors().join(''),
  api: { url: env.operator.url, token: env.operator.token },
};
process.send?.({ value: started });
