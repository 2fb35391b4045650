import { newEvent, type SignetEvent } from '@signet/contracts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi, type TestApi } from './api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

type Frame = { id: number; type: string; event: SignetEvent };

/** A stream that is open: nothing later than this can be missed. */
class Stream {
  readonly #text: AsyncIterator<Uint8Array>;
  readonly #over: AbortController;
  #buffer = '';

  constructor(body: ReadableStream<Uint8Array>, over: AbortController) {
    this.#text = body[Symbol.asyncIterator]();
    this.#over = over;
  }

  async #frame(): Promise<string | undefined> {
    for (;;) {
      const at = this.#buffer.indexOf('\n\n');
      if (at >= 0) {
        const frame = this.#buffer.slice(0, at);
        this.#buffer = this.#buffer.slice(at + 2);
        return frame;
      }
      const { value, done } = await this.#text.next();
      if (done) return undefined;
      this.#buffer += Buffer.from(value).toString();
    }
  }

  /** The next event; undefined at the end of the stream. */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = await this.#frame();
      if (frame === undefined) return undefined;
      const [, id, type, data] = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(frame) ?? [];
      // the fixture's accounts
      if (type === 'ACCOUNT_CREATED') continue;
      if (data !== undefined) return { id: Number(id), type: type ?? '', event: JSON.parse(data) };
    }
  }

  async devices(count: number): Promise<string[]> {
    const seen: string[] = [];
    while (seen.length < count) seen.push((await this.next())?.event.subject ?? 'the end');
    return seen;
  }

  end(): void {
    this.#over.abort();
  }
}

async function open(
  account: string,
  query = '',
  { token = api.admin, last }: { token?: string; last?: number } = {},
): Promise<Stream> {
  const over = new AbortController();
  const response = await fetch(`${api.url}/v1/accounts/${account}/events${query}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(last === undefined ? {} : { 'last-event-id': String(last) }),
    },
    signal: over.signal,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  if (response.body === null) throw new Error('no body');
  return new Stream(response.body, over);
}

const claimed = (device: string, account = 'acme') =>
  newEvent('DEVICE_CLAIMED', {
    time: Date.now(),
    account,
    subject: device,
    data: { deviceId: device, fingerprint: 'ab'.repeat(32), deviceSerialNumber: device, by: 'ada' },
  });

const publish = (...events: SignetEvent[]) => api.fixture.deps.bus.publish(events);

it('streams what comes after it is opened, and nothing from before', async () => {
  await publish(claimed('before'));
  const stream = await open('acme');
  await publish(claimed('after'));
  const frame = await stream.next();
  expect(frame).toMatchObject({
    type: 'DEVICE_CLAIMED',
    event: { specversion: '1.0', account: 'acme', subject: 'after', data: { by: 'ada' } },
  });
  stream.end();
});

it('streams all that is kept from the start, and goes on from a position or Last-Event-ID without a gap', async () => {
  await publish(claimed('d1'), claimed('d2'), claimed('d3'));
  const stream = await open('acme', '?from=start');
  const first = await stream.next();
  expect(first?.event.subject).toBe('d1');
  const position = first?.id ?? 0;
  for (const other of [
    await open('acme', `?from=${position}`),
    await open('acme', '?from=start', { last: position }),
  ]) {
    expect(await other.devices(2)).toEqual(['d2', 'd3']);
    other.end();
  }
  stream.end();
});

it('F66: shows an account its own events only, and all of them to the platform', async () => {
  const token = await api.tokenFor({ account: 'acme', role: 'viewer' });
  const own = await open('acme', '', { token });
  const all = await open('-');
  await publish(claimed('theirs', 'globex'), claimed('ours', 'acme'));
  expect(await own.devices(1)).toEqual(['ours']);
  expect((await all.devices(2)).sort()).toEqual(['ours', 'theirs']);
  own.end();
  all.end();
});

it('gives only the types that are asked for, and refuses one that is not in the catalogue', async () => {
  const stream = await open('acme', '?types=DEVICE_RESET,DEVICE_CLAIMED');
  await publish(
    newEvent('DEVICE_PROVISIONED', {
      time: Date.now(),
      account: 'acme',
      subject: 'd0',
      data: { deviceId: 'd0', requestId: 'r' },
    }),
    claimed('d1'),
  );
  expect(await stream.devices(1)).toEqual(['d1']);
  stream.end();
  const refused = await api.call('GET', '/v1/accounts/acme/events?types=DEVICE_EXPLODED');
  expect(refused).toMatchObject({
    status: 400,
    body: {
      code: 'invalid-input',
      field: 'types',
      detail: 'types: "DEVICE_EXPLODED" is not in the event catalogue',
    },
  });
  const wrongStart = await api.call('GET', '/v1/accounts/acme/events?from=yesterday');
  expect(wrongStart).toMatchObject({ status: 400, body: { field: 'from' } });
});

it('a reader that does not read holds up nobody else', async () => {
  const slow = await open('acme');
  const quick = await open('acme');
  const reason = 'x'.repeat(200);
  const many = Array.from({ length: 3000 }, (_, i) =>
    newEvent('DEVICE_RETIRED', {
      time: Date.now(),
      account: 'acme',
      subject: `d${i}`,
      data: { deviceId: `d${i}`, fingerprint: 'ab'.repeat(32), deviceSerialNumber: 'x', reason, by: reason },
    }),
  );
  await publish(...many);
  expect((await quick.devices(3000)).at(-1)).toBe('d2999');
  expect((await api.call('GET', '/v1/tokens')).status).toBe(200);
  // Late, the slow one has all of them too.
  expect((await slow.devices(3000)).at(-1)).toBe('d2999');
  slow.end();
  quick.end();
});

it('ends at once when the service stops, rather than holding it up', async () => {
  const stream = await open('acme');
  const before = performance.now();
  await Promise.all([api.stop(), expect(stream.next()).resolves.toBeUndefined()]);
  expect(performance.now() - before).toBeLessThan(3000);
});
