import { type RequestOptions, request } from 'node:https';
import type { SecureContext } from 'node:tls';
import type { Bundle, FactoryResult } from '@signet/contracts';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { contextOf, type Enrolment, each } from '../est/enrolment-client.ts';
import type { RunningPlatform } from './running-platform.ts';

export const ACCOUNT = 'default';
const BATCH = 250;
const WIDTH = 8;

/** A device that left the factory and was claimed. */
export type ClaimedDevice = { readonly context: SecureContext };

/** Makes devices over the operators' API, and claims them. */
export async function claimedDevices(
  platform: RunningPlatform,
  count: number,
  prefix: string,
): Promise<ClaimedDevice[]> {
  const { operator, anchors } = platform;
  const made: ClaimedDevice[] = [];
  while (made.length < count) {
    const keys = Array.from({ length: Math.min(BATCH, count - made.length) }, () => generateKeyPair('P-256'));
    const items = keys.map(({ privateKey }, i) => {
      const csr = createCsr({ subject: { commonName: `${prefix}-${made.length + i}` }, privateKey });
      return { csr: encodePem('CERTIFICATE REQUEST', csr) };
    });
    const { results } = await operator.post<{ results: FactoryResult[] }>(
      `/v1/accounts/${ACCOUNT}/factory/certificates`,
      { items },
    );
    const fingerprints: string[] = [];
    for (const [i, result] of results.entries()) {
      if ('error' in result) throw new Error(`factory: ${JSON.stringify(result.error)}`);
      const key = keys[i]?.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      made.push({ context: contextOf(result.certificate, key, anchors) });
      fingerprints.push(result.fingerprint);
    }
    await claim(platform, fingerprints);
  }
  return made;
}

async function claim({ operator }: RunningPlatform, fingerprints: readonly string[]): Promise<void> {
  const response = await fetch(new URL(`/v1/accounts/${ACCOUNT}/devices/claims`, operator.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${operator.token}`, 'content-type': 'text/csv' },
    body: `fingerprint\n${fingerprints.join('\n')}\n`,
  });
  const report = (await response.text()).trimEnd().split('\n').at(-1) ?? '{}';
  const { outcomes } = JSON.parse(report) as { outcomes?: { claimed?: number } };
  if (outcomes?.claimed !== fingerprints.length) throw new Error(`claims: ${response.status} ${report}`);
}

/** `POST /v1/bootstrap` on a new connection. @throws Error where the answer is not 200 */
export function handoff(platform: RunningPlatform, { context }: ClaimedDevice): Promise<Bundle> {
  const { promise, resolve, reject } = Promise.withResolvers<Bundle>();
  const options: RequestOptions & { readonly secureContext: SecureContext } = {
    ...{ host: '127.0.0.1', servername: 'localhost', port: platform.ports.bootstrap },
    ...{ method: 'POST', path: '/v1/bootstrap', agent: false, secureContext: context },
    headers: { 'Content-Length': 0, Connection: 'close' },
  };
  const outgoing = request(options, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      body += chunk;
    });
    response.on('error', reject);
    response.on('end', () =>
      response.statusCode === 200
        ? resolve(JSON.parse(body) as Bundle)
        : reject(new Error(`bootstrap: ${response.statusCode} ${body}`)),
    );
  });
  outgoing.on('error', reject);
  outgoing.end();
  return promise;
}

/** An enrolment with a key of its own, and that key. */
export function prepareEnrolment(
  { deviceId, account, est }: Bundle,
  context: SecureContext,
): { readonly enrolment: Enrolment; readonly key: string } {
  const { privateKey } = generateKeyPair('P-256');
  const csr = createCsr({ subject: { commonName: deviceId, organization: account }, privateKey });
  return {
    enrolment: {
      deviceId: est.username,
      grant: est.grant,
      csr: Buffer.from(csr).toString('base64'),
      context,
    },
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** Devices that have their grant, each with the enrolment that it is about to ask for. */
export async function readyEnrolments(
  platform: RunningPlatform,
  count: number,
  prefix: string,
): Promise<Enrolment[]> {
  const made: Enrolment[] = [];
  const devices = await claimedDevices(platform, count, prefix);
  await each(devices, WIDTH, async (device) => {
    made.push(prepareEnrolment(await handoff(platform, device), device.context).enrolment);
  });
  return made;
}
