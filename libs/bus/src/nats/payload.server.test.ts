import { operation } from '@signet/contracts';
import { requireServer } from '@signet/tests/servers';
import { startNats } from '@signet/tests/servers/start';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type NatsHarness, openNatsHarness } from '../../test/nats-harness.ts';

const binary = requireServer('nats-server');
/** What nats-server carries in one message unless told otherwise. */
const MAX_PAYLOAD = 1_048_576;

const echo = operation('testing.echo', {
  input: z.object({ text: z.string(), times: z.number() }),
  output: z.object({ text: z.string() }),
  errors: [],
});

describe.skipIf(binary === '')('what is larger than NATS carries', () => {
  let harness: NatsHarness;
  beforeEach(async () => {
    harness = await openNatsHarness((options) => startNats(binary, options));
  });
  afterEach(() => harness[Symbol.asyncDispose]());

  it.each([false, true])('is rejected as too large, and thrown at nobody (stored: %s)', async (stored) => {
    const bus = await harness.replica();
    const sent = bus.send('signet.mqtt.acme.dev-1.up.x', new Uint8Array(MAX_PAYLOAD + 1), { stored });
    await expect(sent).rejects.toMatchObject({ name: 'BusError', code: 'too-large' });
  });

  it('a request is answered as invalid, an answer as internal: neither waits for its deadline', async () => {
    const [server, caller] = [await harness.replica(), await harness.replica()];
    await server.serve(echo, async ({ text, times }) => ({ text: text.repeat(times) }));
    expect(await caller.request(echo, { text: 'x', times: 2 })).toEqual({ text: 'xx' });
    const options = { deadlineMs: 30_000 };
    const tooLarge = { text: 'x'.repeat(MAX_PAYLOAD), times: 1 };
    await expect(caller.request(echo, tooLarge, options)).rejects.toMatchObject({ code: 'invalid-input' });
    const grows = { text: 'x', times: MAX_PAYLOAD + 1 };
    await expect(caller.request(echo, grows, options)).rejects.toMatchObject({ code: 'internal' });
  });
});
