import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { context, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { newEvent, type SignetEvent } from '@signet/contracts';
import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import { openBackbone } from './backbone.ts';
import { createLogger } from './logger.ts';
import { startPlainHttp } from './plain-http.ts';
import { startTelemetry } from './telemetry.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spec = { name: 'test.devices', schema: z.object({ id: z.string() }), indexes: {} };

test('a trace runs from the request through log, store and event to the consumer', async () => {
  const spans = new InMemorySpanExporter();
  await using _telemetry = startTelemetry({
    service: 'test',
    spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
  });
  const lines: { trace_id?: string; msg: string }[] = [];
  const log = createLogger({
    service: 'test',
    level: 'info',
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const dataDir = await mkdtemp(join(tmpdir(), 'signet-trace-'));
  const backbone = await openBackbone({
    store: `sqlite:${join(dataDir, 'signet.db')}`,
    bus: 'local',
    dataDir,
    name: 'test',
    log,
  });
  const devices = await backbone.store.collection(spec);
  const consumed: { event: SignetEvent; traceId: string | undefined }[] = [];
  await backbone.bus.consume({ durable: 'test', types: ['DEVICE_RETIRED'] }, async (event) => {
    consumed.push({ event, traceId: trace.getSpanContext(context.active())?.traceId });
  });
  const listener = await startPlainHttp({
    port: 0,
    host: '127.0.0.1',
    log,
    routes(app) {
      app.post('/devices/:id', async (request) => {
        const { id } = request.params as { id: string };
        const data = {
          deviceId: id,
          fingerprint: 'ab'.repeat(32),
          deviceSerialNumber: '1',
          reason: 'old',
          by: 'me',
        };
        await devices.insert({ id }, [
          newEvent('DEVICE_RETIRED', { account: 'acme', subject: id, time: Date.now(), data }),
        ]);
        log.info('stored');
        return {};
      });
    },
  });

  const response = await fetch(`http://127.0.0.1:${listener.port}/devices/dev-1`, {
    method: 'POST',
    body: JSON.stringify({ some: 'body' }),
    headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-b7ad6b7169203331-01` },
  });
  expect(response.status).toBe(200);
  await vi.waitFor(() => expect(consumed).toHaveLength(1));
  expect(consumed[0]?.event.traceparent).toContain(traceId);
  expect(consumed[0]?.traceId).toBe(traceId);
  expect(lines.find(({ msg }) => msg === 'stored')?.trace_id).toBe(traceId);
  await listener.close();
  const [span] = spans.getFinishedSpans();
  expect(span?.name).toBe('POST /devices/:id');
  expect(span?.spanContext().traceId).toBe(traceId);
  expect(span?.attributes['http.response.status_code']).toBe(200);
  await backbone[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true });
});

test('with a collector configured spans are sent to it, with the headers it wants', async () => {
  const received = Promise.withResolvers<{
    url: string | undefined;
    key: string | undefined;
    body: string;
  }>();
  const collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      response.end('{}');
      received.resolve({ url: request.url, key: request.headers['x-key'] as string, body });
    });
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const telemetry = startTelemetry({
    service: 'est-ca',
    otlpEndpoint: `http://127.0.0.1:${port}/`,
    otlpHeaders: 'x-key=a%3Db',
  });
  trace.getTracer('signet').startSpan('enrol').end();
  await telemetry[Symbol.asyncDispose]();
  const { url, key, body } = await received.promise;
  expect({ url, key }).toEqual({ url: '/v1/traces', key: 'a=b' });
  expect(body).toContain('enrol');
  expect(body).toContain('est-ca');
  collector.close();
});
