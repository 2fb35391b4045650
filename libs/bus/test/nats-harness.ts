import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { EVENT_STREAM, eventSubject, MQTT_STREAM } from '@signet/contracts';
import { type Bus, openNatsBus } from '../src/index.ts';
import { numbered } from './events.ts';
import { type BusHarness, type LogLine, recorder } from './harness.ts';

export interface NatsHarness extends BusHarness {
  readonly url: string;
  stopServer(): Promise<void>;
  /** kill -9. */
  killServer(): Promise<void>;
  startServer(): Promise<void>;
  /** What a server that lost its disk has lost. */
  forgetData(): Promise<void>;
  /** Deletes all streams, or all consumers, while everybody stays connected. */
  lose(what: 'streams' | 'consumers'): Promise<void>;
  /** Subjects of the messages in the stream of MQTT messages. */
  storedMessages(): Promise<string[]>;
}

type Server = { readonly url: string; readonly port: number; readonly pid: number; stop(): Promise<void> };
export type StartServer = (options: {
  readonly directory: string;
  readonly port?: number;
}) => Promise<Server>;

/** A nats-server of its own, that can be stopped and started again with its data, and its replicas. */
export async function openNatsHarness(start: StartServer): Promise<NatsHarness> {
  const directory = await mkdtemp(join(tmpdir(), 'signet-nats-'));
  let server: Server | undefined = await start({ directory });
  const { url, port } = server;
  const lines: LogLine[] = [];
  const replicas: Bus[] = [];
  let maxBytes: number | undefined;
  const manage = async (work: (jsm: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<unknown>) => {
    const nc = await connect({ servers: url });
    await work(await jetstreamManager(nc));
    await nc.close();
  };
  return {
    url,
    lines,
    async replica() {
      const bus = await openNatsBus({
        url,
        name: `replica-${replicas.length}`,
        log: recorder(lines),
        ackWaitMs: 1000,
        ...(maxBytes === undefined ? {} : { streams: { events: { maxBytes } } }),
      });
      replicas.push(bus);
      return bus;
    },
    bound() {
      maxBytes = 50_000;
    },
    makeRoom: () => manage((jsm) => jsm.streams.purge(EVENT_STREAM)),
    async publishMalformed(device) {
      const nc = await connect({ servers: url });
      nc.publish(eventSubject(numbered(device, 0)), '{"not":"an event"}');
      await nc.drain();
    },
    childArguments: ['nats', url],
    leaveToChild: async () => {},
    async stopServer() {
      await server?.stop();
      server = undefined;
    },
    async killServer() {
      if (server !== undefined) process.kill(server.pid, 'SIGKILL');
      await server?.stop();
      server = undefined;
    },
    async startServer() {
      server = await start({ directory, port });
    },
    async forgetData() {
      await rm(directory, { recursive: true });
    },
    lose: (what) =>
      manage(async (jsm) => {
        for await (const { config } of jsm.streams.list()) {
          if (what === 'streams') await jsm.streams.delete(config.name);
          else
            for await (const consumer of jsm.consumers.list(config.name))
              await jsm.consumers.delete(config.name, consumer.name);
        }
      }),
    async storedMessages() {
      let subjects: string[] = [];
      await manage(async (jsm) => {
        const { state } = await jsm.streams.info(MQTT_STREAM, { subjects_filter: '>' });
        subjects = Object.keys(state.subjects ?? {});
      });
      return subjects;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(replicas.map((bus) => bus[Symbol.asyncDispose]()));
      await server?.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
