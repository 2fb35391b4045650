import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mqttSubject } from '@signet/contracts';
import { type DevEnv, startDevEnv } from '@signet/dev-env';
import { requireServer } from '@signet/tests/servers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { leaf, onboard } from '../src/index.ts';
import { type Made, TestFactory } from './devices.ts';
import { Running } from './running.ts';

const run = promisify(execFile);
const curlBinary = requireServer('curl');

let env: DevEnv;
let factory: TestFactory;
const stack = new AsyncDisposableStack();
beforeAll(async () => {
  env = stack.use(await startDevEnv());
  factory = stack.use(await TestFactory.open(env));
});
afterAll(() => stack.disposeAsync());

const socketOf = ({ folder }: Made) => join(folder.path, 'messages.sock');
const until = <T>(look: () => T) => vi.waitFor(look, 20_000);

/** What came on the bus from a device, below `up/`. */
async function hearing({
  id,
}: Made): Promise<AsyncDisposable & { all: string[]; on(topic: string): string[] }> {
  const heard: { subject: string; text: string }[] = [];
  const listening = await env.deps.bus.listen(`signet.mqtt.acme.${id}.up.>`, ({ subject, payload }) => {
    heard.push({ subject, text: Buffer.from(payload).toString() });
  });
  return {
    get all() {
      return heard.map(({ text }) => text);
    },
    on(topic) {
      const wanted = mqttSubject('acme', id, 'up', topic.split('/'));
      return heard.filter(({ subject }) => subject === wanted).map(({ text }) => text);
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

/** As a workload would: curl, and what it says. */
async function curl(made: Made, ...args: string[]): Promise<{ status: number; body: unknown }> {
  const { stdout } = await run(curlBinary, [
    '-s',
    '-w',
    '\n%{http_code}',
    '--unix-socket',
    socketOf(made),
    ...args,
  ]);
  const at = stdout.lastIndexOf('\n');
  const text = stdout.slice(0, at);
  return { status: Number(stdout.slice(at + 1)), body: text === '' ? '' : JSON.parse(text) };
}

const main = join(import.meta.dirname, '..', 'src', 'main.ts');
const agent = (made: Made, ...args: string[]) =>
  run(process.execPath, [main, '--folder', made.folder.path, ...args]);

describe.skipIf(curlBinary === '')('a workload', () => {
  it('hands a message over by curl, which arrives on the bus', async () => {
    const made = await factory.claimed('curls');
    await using heard = await hearing(made);
    await using running = new Running(made);
    await running.until('connected');
    const answer = await curl(made, '-d', '21.5', 'http://agent/v1/messages/hall/3/t%C2%B0');
    expect(answer).toEqual({ status: 202, body: { number: 1 } });
    await until(() => expect(heard.on('hall/3/t°')).toEqual(['21.5']));
  });

  it('is told what is wrong, naming the field, and nothing of it is sent', async () => {
    const made = await factory.claimed('errs');
    await using _running = new Running(made, { messages: { bounds: { messages: 1, bytes: 400 } } });
    await until(() => stat(socketOf(made)));
    const url = 'http://agent/v1/messages';
    const refused = async (status: number, code: string, detail: string, ...args: string[]) =>
      expect(await curl(made, '--path-as-is', ...args)).toMatchObject({
        status,
        body: { status, code, detail, field: detail.slice(0, detail.indexOf(':')) },
      });
    await refused(400, 'bad-topic', 'topic: "a//b" has an empty level', '-d', '1', `${url}/a//b`);
    await refused(400, 'bad-topic', 'topic: "events" is the agent\'s own', '-d', '1', `${url}/events`);
    await refused(400, 'bad-topic', 'topic: not percent-encoded UTF-8', '-d', '1', `${url}/%ff`);
    await refused(400, 'bad-request', 'path: "/else" is not below /v1/messages', 'http://agent/else');
    await refused(400, 'bad-request', 'method: "PUT" is neither POST nor GET', '-X', 'PUT', `${url}/a`);
    const large = ['--data-binary', `@${process.execPath}`, '-H', 'Expect:'];
    const { body } = await curl(made, ...large, `${url}/a`);
    expect(body).toMatchObject({ code: 'too-large', field: 'payload' });
    expect(await curl(made, '-d', '1', `${url}/a`)).toMatchObject({ status: 202 });
  });

  it('is told that the queue is full, and keeps what it was promised', async () => {
    const made = await factory.make('fills');
    await using _running = new Running(made, { messages: { bounds: { messages: 2, bytes: 400 } } });
    await until(() => stat(socketOf(made)));
    const post = (text: string) => curl(made, '-d', text, 'http://agent/v1/messages/a');
    expect([(await post('1')).status, (await post('2')).status]).toEqual([202, 202]);
    expect(await post('3')).toEqual({
      status: 507,
      body: {
        ...{ type: 'about:blank', status: 507, code: 'queue-full', field: 'message' },
        detail: 'message: 2 wait, no more than 2 may',
      },
    });
    await using heard = await hearing(made);
    await factory.claim(made);
    await until(() => expect(heard.on('a')).toEqual(['1', '2']));
    expect((await post('4')).status).toBe(202);
    await until(() => expect(heard.on('a')).toEqual(['1', '2', '4']));
  });

  it('is alone with its user at the socket, or with a group where that is wanted', async () => {
    const made = await factory.make('private');
    const modeOf = async () => (await stat(socketOf(made))).mode & 0o777;
    {
      await using _running = new Running(made);
      await until(async () => expect(await modeOf()).toBe(0o600));
    }
    await expect(stat(socketOf(made))).rejects.toThrow('ENOENT');
    await using _running = new Running(made, { messages: { group: process.getgid?.() ?? 0 } });
    await until(async () => expect(await modeOf()).toBe(0o660));
  });

  it('has no socket where none can be made, and the device goes on without', async () => {
    const made = await factory.claimed('no-socket');
    const socket = join(made.folder.path, 'x'.repeat(120));
    await using running = new Running(made, { messages: { socket } });
    await running.until('connected');
    const reason = running.events.find((event) => event.step === 'messages-off')?.reason;
    expect(reason).toMatch(/^Error: listen E[A-Z]+: /);
  });

  it('hears what comes down for it, also what came before it listened, and nothing of the agent’s own', async () => {
    const made = await factory.claimed('hears');
    await using running = new Running(made);
    await running.until('connected');
    const send = (topic: string, text: string) =>
      env.deps.bus.send(mqttSubject('acme', made.id, 'down', topic.split('/')), Buffer.from(text), {
        stored: true,
      });
    await send('relay/1', 'on');
    await send('config', '{}');
    await send('lamp', 'green');
    await running.until('message', 3);
    const relay = spawn(curlBinary, [
      '-sN',
      '--unix-socket',
      socketOf(made),
      'http://agent/v1/messages/relay',
    ]);
    let said = '';
    relay.stdout.on('data', (chunk) => (said += String(chunk)));
    const line = (topic: string, text: string) =>
      `${JSON.stringify({ topic, payload: Buffer.from(text).toString('base64') })}\n`;
    await until(() => expect(said).toBe(line('relay/1', 'on')));
    await send('relay/1', 'off');
    await send('relayed', 'no');
    await until(() => expect(said).toBe(line('relay/1', 'on') + line('relay/1', 'off')));
    relay.kill();
    const all = spawn(process.execPath, [main, '--folder', made.folder.path, 'listen']);
    let rest = '';
    all.stdout.on('data', (chunk) => (rest += String(chunk)));
    await until(() => expect(rest).toBe(line('lamp', 'green') + line('relayed', 'no')));
    all.kill('SIGTERM');
    await once(all, 'close');
  });
});

describe('signet-agent publish', () => {
  it('hands a message to the agent that runs; where none runs it waits on the disk for the next', async () => {
    const made = await factory.claimed('publishes');
    await using heard = await hearing(made);
    await onboard(made.folder);
    expect((await agent(made, 'publish', 'a', 'before')).stdout).toBe('1\n');
    await using running = new Running(made);
    await running.until('connected');
    expect((await agent(made, 'publish', `d/acme/${made.id}/up/a`, 'after')).stdout).toBe('2\n');
    await until(() => expect(heard.on('a')).toEqual(['before', 'after']));
  });

  it('says what is wrong in one line, by exit code 1', async () => {
    const made = await factory.make('mistakes');
    await expect(agent(made, 'publish', 'd/acme/other/up/a', 'x')).rejects.toMatchObject({
      code: 1,
      stderr:
        'signet-agent: bad-topic: topic: "d/acme/other/up/a" is of acme/other, this device is not claimed yet\n',
    });
  });
});

describe.skipIf(curlBinary === '')('messages under way', () => {
  it('survive SIGKILL of the agent: all that was acknowledged arrives, in order', async () => {
    const made = await factory.claimed('killed');
    await onboard(made.folder);
    await using heard = await hearing(made);
    await env.stop('mqtt-broker');
    const acknowledged: string[] = [];
    try {
      for (let round = 0; round < 2; round++) {
        const child = spawn(process.execPath, [main, '--folder', made.folder.path, 'run'], {
          stdio: 'ignore',
        });
        await until(async () => expect(await curl(made, 'http://agent/none')).toMatchObject({ status: 400 }));
        const closed = once(child, 'close');
        const promised = acknowledged.length + 5;
        for (let i = 0; acknowledged.length < promised; i++) {
          const text = `${round}-${i}`;
          if ((await curl(made, '-d', text, 'http://agent/v1/messages/a')).status === 202)
            acknowledged.push(text);
        }
        child.kill('SIGKILL');
        await closed;
      }
    } finally {
      await env.start('mqtt-broker');
    }
    await using _running = new Running(made);
    await until(() => expect(heard.on('a')).toEqual(acknowledged));
  });

  it('F37: come through a change of the certificate, each once and in order; the next connection uses the new one', async () => {
    const made = await factory.claimed('changes');
    const { serialNumber } = leaf(await onboard(made.folder));
    await using heard = await hearing(made);
    let isDue = false;
    await using running = new Running(made, {
      renewAt: (identity) =>
        isDue && leaf(identity).serialNumber === serialNumber ? 0 : Number.MAX_SAFE_INTEGER,
    });
    await running.until('connected');
    // the plan is made at each connection
    isDue = true;
    await env.stop('mqtt-broker');
    await env.start('mqtt-broker');
    let sent = 0;
    const last = (step: string) => running.events.findLastIndex((event) => event.step === step);
    while (last('renewed') < 0 || last('connected') < last('renewed'))
      expect((await curl(made, '-d', String(++sent), 'http://agent/v1/messages/a')).status).toBe(202);
    await curl(made, '-d', String(++sent), 'http://agent/v1/messages/a');
    await until(() => expect(heard.on('a').at(-1)).toBe(String(sent)));
    expect(heard.on('a')).toEqual(Array.from({ length: sent }, (_, i) => String(i + 1)));
    const now = (await made.folder.operational()) ?? expect.unreachable();
    expect(leaf(now).serialNumber).not.toBe(serialNumber);
    await env.events.find(
      'DEVICE_CONNECTED',
      ({ subject, data }) => subject === made.id && data.serialNumber === leaf(now).serialNumber,
    );
  });
});
