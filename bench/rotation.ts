import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import {
  createCsr,
  decodeCertsOnly,
  encodePem,
  exportSpki,
  generateKeyPair,
  parseCertificate,
  parseCertificatePem,
} from '@signet/pki';
import { type Child, startChild } from './est/child.ts';
import { contextOf, each } from './est/enrolment-client.ts';
import { embedded } from './est/environment.ts';
import { bootstrapDevices, grantsFor } from './est/preparation.ts';

const DEVICES = 1000;
const WIDTH = 8;
const ACCOUNT = 'bench';
/** One write in so many is tried while a rotation holds the config. */
const WRITE_EVERY = 10;

type Ports = { readonly est: number; readonly gateway: number };
type Held = { readonly deviceId: string; readonly pem: string; readonly context: SecureContext };

/**
 * Whole rotations, each by a client of its own: a new key, `simplereenroll`, `PATCH /device`, the first contact with the
 * new key. Against EST and gateway in embedded mode in one process. `p99Ms` is from the new key to the answer of that
 * contact; `stranded` counts devices that no key of theirs lets in afterwards; `refusedWrites` are operators' writes that
 * came while a rotation held the config.
 */
export async function rotation(): Promise<object> {
  const dataDir = mkdtempSync(join(tmpdir(), 'signet-bench-'));
  const env = { ...embedded(dataDir), SIGNET_GATEWAY_PORT: '0' };
  using server = startChild('../rotation/rotation-server.ts', { env });
  try {
    const ports = await server.ask<Ports>({});
    const anchors = await server.ask<string>({ ask: 'anchors' });
    const fleet = await enrolled(server, ports, anchors);
    const times: number[] = [];
    const outcomes: string[] = [];
    let stranded = 0;
    const start = performance.now();
    await each([...fleet.entries()], WIDTH, async ([i, device]) => {
      const began = performance.now();
      const next = await reenrolled(ports, device, anchors);
      const spki = parseCertificatePem(next.pem).spkiDer;
      const next_pubkey = encodePem('PUBLIC KEY', spki);
      await call(ports.gateway, device.context, 'PATCH', '/device', JSON.stringify({ next_pubkey }));
      if (i % WRITE_EVERY === 0)
        outcomes.push(
          await server.ask<string>({ ask: 'write', account: ACCOUNT, deviceId: device.deviceId }),
        );
      const seen = await call(ports.gateway, next.context, 'GET', '/device');
      times.push(performance.now() - began);
      if (seen.status === 200) return;
      const before = await call(ports.gateway, device.context, 'GET', '/device');
      if (before.status !== 200) stranded++;
    });
    const seconds = (performance.now() - start) / 1000;
    return {
      ...{ bench: 'rotation', devices: DEVICES, stranded },
      perSecond: Math.round(DEVICES / seconds),
      p99Ms: Math.round(times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0),
      refusedWrites: outcomes.filter((outcome) => outcome === 'rotation-in-progress').length,
      triedWrites: outcomes.length,
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Devices with their first operational certificate, all from one holder of a bootstrap certificate. */
async function enrolled(server: Child, ports: Ports, anchors: string): Promise<Held[]> {
  const [line] = await bootstrapDevices(server, 1, anchors);
  if (line === undefined) throw new Error('no bootstrap certificate');
  const holders = Array.from({ length: DEVICES }, (_, i) => ({
    deviceId: `rotating-${i}`,
    fingerprint: line.fingerprint,
  }));
  const grants = await grantsFor(server, holders);
  const fleet: Held[] = [];
  await each([...holders.entries()], WIDTH, async ([i, { deviceId }]) => {
    const { privateKey } = generateKeyPair('P-256');
    const subject = { commonName: deviceId, organization: ACCOUNT };
    const auth = `${deviceId}:${grants[i] ?? ''}`;
    const csr = createCsr({ subject, privateKey });
    fleet.push(
      held(deviceId, privateKey, await enrol(ports, line.context, 'simpleenroll', csr, auth), anchors),
    );
  });
  for (const { context } of fleet) await settled(ports.gateway, context);
  return fleet;
}

/** The gateway has heard of the certificate. */
async function settled(port: number, context: SecureContext): Promise<void> {
  for (;;) {
    const { status, body } = await call(port, context, 'GET', '/device');
    if (status === 200 && body.includes('"current"')) return;
  }
}

async function reenrolled({ est, gateway }: Ports, device: Held, anchors: string): Promise<Held> {
  const { privateKey } = generateKeyPair('P-256');
  const { subjectDer } = parseCertificatePem(device.pem);
  const csr = createCsr({ subjectDer, privateKey });
  const answer = await enrol({ est, gateway }, device.context, 'simplereenroll', csr);
  return held(device.deviceId, privateKey, answer, anchors);
}

async function enrol(
  { est }: Ports,
  context: SecureContext,
  operation: 'simpleenroll' | 'simplereenroll',
  csr: Uint8Array,
  auth?: string,
): Promise<string> {
  const body = Buffer.from(csr).toString('base64');
  const path = `/.well-known/est/${operation}`;
  const answer = await call(est, context, 'POST', path, body, 'application/pkcs10', auth);
  if (answer.status !== 200) throw new Error(`${operation}: ${answer.status} ${answer.body}`);
  return answer.body;
}

function held(deviceId: string, key: KeyObject, answer: string, anchors: string): Held {
  const [der = new Uint8Array()] = decodeCertsOnly(new Uint8Array(Buffer.from(answer, 'base64')));
  const pem = parseCertificate(der).pem();
  if (!Buffer.from(parseCertificate(der).spkiDer).equals(Buffer.from(exportSpki(key))))
    throw new Error(`${deviceId}: the certificate is for another key`);
  return {
    deviceId,
    pem,
    context: contextOf(pem, key.export({ type: 'pkcs8', format: 'pem' }) as string, anchors),
  };
}

function call(
  port: number,
  secureContext: SecureContext,
  method: string,
  path: string,
  body?: string,
  type = 'application/json',
  auth?: string,
): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const options = {
    ...{ host: '127.0.0.1', port, method, path, agent: false as const, secureContext },
    ...(auth === undefined ? {} : { auth }),
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': type, 'content-length': Buffer.byteLength(body) } }),
  };
  const outgoing = request(options, (response) => {
    let text = '';
    response.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
  });
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}
