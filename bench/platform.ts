import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import type { Agent } from 'node:https';
import { decodeCertsOnly, parseCertificate } from '@signet/pki';
import { startChild } from './est/child.ts';
import {
  contextOf,
  type Enrolment,
  each,
  keptConnections,
  post,
  type Target,
} from './est/enrolment-client.ts';
import { connectDevice } from './mqtt/load-client.ts';
import {
  ACCOUNT,
  type ClaimedDevice,
  claimedDevices,
  handoff,
  prepareEnrolment,
  readyEnrolments,
} from './platform/fleet.ts';
import { cpuMs, restingRate, untilAtRest } from './platform/process-cpu.ts';
import { type Backbone, type RunningPlatform, startPlatform } from './platform/running-platform.ts';

const RUNS = 3;
const WIDTH = 16;
const OTHER_WIDTHS = [1, 64];
/** How much of each kind: to warm up, in one run, and once at each of the other widths. */
const FULL = { warmUp: 2000, perRun: 1000, perWidth: 500, onboarded: 500, floor: 3000 };
const SHORT = { warmUp: 300, perRun: 200, perWidth: 100, onboarded: 100, floor: 1000 };
type Sizes = typeof FULL;

/**
 * What a device costs the whole platform: `npm start` as it is, a process of its own, durable; or, on NATS, the six
 * services with a NATS server, a MongoDB-wire store and Redis. First enrolments only: each request has a device, key
 * and grant of its own, got over the public interfaces before. On a new connection the device shows its bootstrap
 * certificate; on kept connections nobody shows one, and the grant alone enrols. CPU is that of all the platform's
 * processes until they are at rest again, so that what an answer sets off is counted. The load comes from this process,
 * in a closed loop. The kinds take turns; medians of the runs and their spread are given. `bare` is an https server of
 * the same Node that answers 200 to the same client; the floor is one P-256 verification, one signature and one key
 * loaded.
 */
export async function platform(options: { backbone?: string; short?: boolean }): Promise<object> {
  const backbone = backboneOf(options.backbone ?? 'embedded');
  const sizes = options.short ? SHORT : FULL;
  await using running = await startPlatform(backbone);
  using bare = startChild('./bare-server.ts');
  const barePort = await bare.ask<number>(running.identity);
  const bench = new PlatformBench(running, sizes, {
    port: barePort,
    cpu: () => bare.ask<number>({ ask: 'cpu' }),
  });
  return { bench: 'platform', backbone, ...(await bench.run()) };
}

function backboneOf(name: string): Backbone {
  if (name === 'embedded' || name === 'nats') return name;
  throw new Error(`--backbone: "${name}" is neither "embedded" nor "nats"`);
}

type Bare = { readonly port: number; readonly cpu: () => Promise<number> };
/** Of one run: CPU of the server for each operation, and how many were answered in a second. */
type Run = { readonly cpuMs: number; readonly perSecond: number };

class PlatformBench {
  readonly #platform: RunningPlatform;
  readonly #sizes: Sizes;
  readonly #bare: Bare;
  readonly #est: Target;
  #resting = 0;
  #answered = 0;
  #longestDrain = 0;

  constructor(platform: RunningPlatform, sizes: Sizes, bare: Bare) {
    this.#platform = platform;
    this.#sizes = sizes;
    this.#bare = bare;
    this.#est = { port: platform.ports.est, anchors: platform.anchors };
  }

  async run(): Promise<object> {
    this.#resting = await restingRate(this.#platform.pids);
    const fresh = await this.#enrolments('new');
    const kept = await this.#enrolments('kept');
    const agents = new Map([WIDTH, ...OTHER_WIDTHS].map((width) => [width, keptConnections(width)]));
    const anonymous = contextOf(undefined, undefined, this.#platform.anchors);
    const overNew = (batch: readonly Enrolment[], width = WIDTH) => this.#enrol(batch, width, false);
    const overKept = (batch: readonly Enrolment[], width = WIDTH) =>
      this.#enrol(
        batch.map((enrolment) => ({ ...enrolment, context: anonymous })),
        width,
        agents.get(width),
      );
    const toBare = (batch: readonly Enrolment[], agent: Agent | false) =>
      each(batch, WIDTH, async (enrolment) => {
        await post({ port: this.#bare.port, anchors: this.#platform.anchors }, enrolment, agent);
      });

    const { warmUp, perRun, perWidth, onboarded, floor } = this.#sizes;
    const [newWarmUp, keptWarmUp] = [take(fresh, warmUp), take(kept, warmUp)];
    await overNew(newWarmUp);
    await overKept(keptWarmUp);
    await toBare(newWarmUp, false);
    const bareAgent = keptConnections(WIDTH);
    await toBare(keptWarmUp, bareAgent);
    await this.#onboard(await claimedDevices(this.#platform, onboarded, 'onboarded-first'));
    await floorCpuMs(floor);

    const runs = { new: [] as Run[], kept: [] as Run[], onboarding: [] as Run[] };
    const bare = { new: [] as number[], kept: [] as number[] };
    const floors: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const [newBatch, keptBatch] = [take(fresh, perRun), take(kept, perRun)];
      const devices = await claimedDevices(this.#platform, onboarded, `onboarded-${run}`);
      floors.push(await floorCpuMs(floor));
      bare.new.push(await this.#bareCpu(newBatch.length, () => toBare(newBatch, false)));
      runs.new.push(await this.#measured(newBatch.length, () => overNew(newBatch)));
      bare.kept.push(await this.#bareCpu(keptBatch.length, () => toBare(keptBatch, bareAgent)));
      runs.kept.push(await this.#measured(keptBatch.length, () => overKept(keptBatch)));
      runs.onboarding.push(await this.#measured(devices.length, () => this.#onboard(devices)));
    }
    const widths: Record<string, object> = {};
    for (const width of OTHER_WIDTHS) {
      const [newBatch, keptBatch] = [take(fresh, perWidth), take(kept, perWidth)];
      widths[width] = {
        new: shown(await this.#measured(newBatch.length, () => overNew(newBatch, width))),
        kept: shown(await this.#measured(keptBatch.length, () => overKept(keptBatch, width))),
      };
    }
    for (const agent of [bareAgent, ...agents.values()]) agent.destroy();
    return {
      new: summary(runs.new),
      kept: summary(runs.kept),
      onboarding: summary(runs.onboarding),
      bare: { newCpuMs: rounded(median(bare.new)), keptCpuMs: rounded(median(bare.kept)) },
      floorCpuMs: rounded(median(floors)),
      ratios: {
        newToBare: rounded(median(runs.new.map(({ cpuMs }) => cpuMs)) / median(bare.new)),
        keptToFloor: rounded(median(runs.kept.map(({ cpuMs }) => cpuMs)) / median(floors)),
        onboardingToBare: rounded(median(runs.onboarding.map(({ cpuMs }) => cpuMs)) / (3 * median(bare.new))),
      },
      inFlight: { [WIDTH]: 'above', ...widths },
      drainedSeconds: rounded(this.#longestDrain),
      restingCpuMsPerSecond: rounded(this.#resting),
      onRecord: { answered: this.#answered, ...(await this.#recount()) },
    };
  }

  #enrolments(prefix: string): Promise<Enrolment[]> {
    const { warmUp, perRun, perWidth } = this.#sizes;
    return readyEnrolments(this.#platform, warmUp + RUNS * perRun + OTHER_WIDTHS.length * perWidth, prefix);
  }

  async #enrol(batch: readonly Enrolment[], width: number, agent: Agent | false | undefined): Promise<void> {
    await each(batch, width, async (enrolment) => {
      await post(this.#est, enrolment, agent ?? false);
      this.#answered++;
    });
  }

  /** Bootstrap, enrolment, MQTT connection and the first message at QoS 1: three new connections. */
  async #onboard(devices: readonly ClaimedDevice[]): Promise<void> {
    const { ports, anchors } = this.#platform;
    await each(devices, WIDTH, async (device) => {
      const bundle = await handoff(this.#platform, device);
      const { enrolment, key } = prepareEnrolment(bundle, device.context);
      const answer = await post(this.#est, enrolment, false);
      this.#answered++;
      const [der = new Uint8Array()] = decodeCertsOnly(new Uint8Array(Buffer.from(answer, 'base64')));
      const cert = parseCertificate(der).pem();
      const client = await connectDevice(ports.mqtt, anchors, {
        ...{ deviceId: bundle.deviceId, account: bundle.account, cert, key },
      });
      await client.one();
      await client.close();
    });
  }

  async #measured(count: number, run: () => Promise<void>): Promise<Run> {
    const { pids } = this.#platform;
    // what was prepared may have set off work that is not this run's
    await untilAtRest(pids, this.#resting);
    const before = cpuMs(pids);
    const start = performance.now();
    await run();
    const seconds = (performance.now() - start) / 1000;
    const rest = await untilAtRest(pids, this.#resting);
    this.#longestDrain = Math.max(this.#longestDrain, rest.seconds);
    return { cpuMs: (rest.cpuMs - before) / count, perSecond: count / seconds };
  }

  async #bareCpu(count: number, run: () => Promise<void>): Promise<number> {
    const before = await this.#bare.cpu();
    await run();
    return ((await this.#bare.cpu()) - before) / count;
  }

  /** Certificates that the platform lists, and CERT_ISSUED events in its stream. */
  async #recount(): Promise<{ readonly certificates: number; readonly events: number }> {
    const { operator } = this.#platform;
    let certificates = 0;
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await operator.get<{ items: unknown[]; next?: string }>(
        `/v1/accounts/${ACCOUNT}/certificates?limit=1000${from}`,
      );
      certificates += page.items.length;
      cursor = page.next;
    } while (cursor !== undefined);
    return { certificates, events: await this.#countEvents(certificates) };
  }

  /** Reads the stream until as many are there as there should be, or none has come for five seconds. */
  async #countEvents(expected: number): Promise<number> {
    const { url, token } = this.#platform.operator;
    const stopped = new AbortController();
    const response = await fetch(
      new URL(`/v1/accounts/${ACCOUNT}/events?types=CERT_ISSUED&from=start`, url),
      { headers: { authorization: `Bearer ${token}` }, signal: stopped.signal },
    );
    let events = 0;
    let idle = setTimeout(() => stopped.abort(), 5000);
    try {
      let rest = '';
      for await (const chunk of response.body ?? []) {
        const lines = (rest + Buffer.from(chunk).toString()).split('\n');
        rest = lines.pop() ?? '';
        const found = lines.filter((line) => line.startsWith('data:')).length;
        events += found;
        if (events >= expected) break;
        if (found === 0) continue;
        clearTimeout(idle);
        idle = setTimeout(() => stopped.abort(), 5000);
      }
    } catch (error) {
      if (!stopped.signal.aborted) throw error;
    } finally {
      clearTimeout(idle);
      stopped.abort();
    }
    return events;
  }
}

/** The next of them, which nobody gets again. */
function take<T>(items: T[], count: number): T[] {
  const taken = items.splice(0, count);
  if (taken.length < count) throw new Error('too few were prepared');
  return taken;
}

/** What no enrolment can leave out: load the device's key, verify its signature, sign the certificate. CPU of this thread, in ms. */
async function floorCpuMs(operations: number): Promise<number> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const message = randomBytes(400);
  const signature = sign('sha256', message, privateKey);
  const before = process.threadCpuUsage();
  for (let n = 0; n < operations; n++) {
    const key = createPublicKey({ key: spki, type: 'spki', format: 'der' });
    if (!verify('sha256', message, key, signature)) throw new Error('the signature is not valid');
    sign('sha256', message, privateKey);
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000 / operations;
}

function summary(runs: readonly Run[]) {
  const cpu = runs.map(({ cpuMs }) => cpuMs);
  return {
    ...shown({ cpuMs: median(cpu), perSecond: median(runs.map(({ perSecond }) => perSecond)) }),
    spreadCpuMs: [rounded(Math.min(...cpu)), rounded(Math.max(...cpu))],
  };
}

const shown = ({ cpuMs, perSecond }: Run): Run => ({
  cpuMs: rounded(cpuMs),
  perSecond: Math.round(perSecond),
});
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const rounded = (value: number): number => Number(value.toFixed(3));
