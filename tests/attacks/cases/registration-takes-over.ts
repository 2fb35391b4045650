import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { request } from 'node:https';
import { createCsr, encodePem, generateKeyPair } from '@signet/pki';
import { type SharedAttack, type Target, until } from '../attack.ts';

const ACCOUNT = 'takes-over';
const DEVICE = 'edge-1';

type Identity = { readonly cert: string; readonly key: string };

export const attack: SharedAttack = {
  number: 10,
  title:
    'a registered device that was seen is not taken over by its image’s certificate, nor one that was reset before an operator approves it',
  tries:
    'a holder of the image’s registration certificate asks for a certificate in the name of a device of that image',
  async run(target) {
    const image = await imageCertificate(target);
    const enrols = () => send(target, image, 'enrolment', { features: {} });
    const registers = async (identity = image) => {
      const keys = generateKeyPair('P-256');
      const answer = await send(target, identity, 'registration', {
        certificate_request: csrOf(DEVICE, keys.privateKey),
      });
      return { ...answer, key: pemOf(keys) };
    };
    assert.equal((await enrols()).status, 200);
    await approve(target);
    const first = await registers();
    assert.equal(first.status, 200, first.text);
    const device = { cert: certificateIn(first.text), key: first.key };

    // a poll is no heartbeat, and counts as seen anyway
    await until(async () => assert.equal(await poll(target, device), 200));
    const thief = await registers();
    assert.equal(thief.status, 409, thief.text);
    assert.match(thief.text, /device-id-taken/);
    assert.equal(await poll(target, device), 200);

    await target.operator.post(`/v1/accounts/${ACCOUNT}/devices/actions/reset`, { deviceIds: [DEVICE] });
    assert.equal((await registers()).status, 404);
    assert.equal((await enrols()).status, 200);
    assert.equal((await registers()).status, 404);
    await approve(target);
    const anew = await registers();
    assert.equal(anew.status, 200, anew.text);
  },
};

async function imageCertificate(target: Target): Promise<Identity> {
  const keys = generateKeyPair('P-256');
  const { certificate } = await target.operator.post<{ certificate: string }>(
    `/v1/accounts/${ACCOUNT}/registration-certificates`,
    { name: 'image', csr: csrOf('image', keys.privateKey) },
  );
  return { cert: certificate, key: pemOf(keys) };
}

async function approve(target: Target): Promise<void> {
  type Waiting = { items: { requestId: string; deviceId: string; state: string }[] };
  const requestId = await until(async () => {
    const { items } = await target.operator.get<Waiting>(`/v1/accounts/${ACCOUNT}/requests?limit=100`);
    const found = items.find(({ deviceId, state }) => deviceId === DEVICE && state === 'waiting');
    assert(found, JSON.stringify(items));
    return found.requestId;
  });
  await target.operator.post(`/v1/accounts/${ACCOUNT}/requests/${requestId}/approve`, {});
}

async function poll(target: Target, device: Identity): Promise<number> {
  return (await call(target, device, 'GET', 'control', 'in')).status;
}

function send(target: Target, identity: Identity, directive: string, content: object) {
  const message = { type: 'data', message_id: randomUUID(), version: 1, directive, content };
  return call(target, identity, 'POST', 'data', 'out', message);
}

function call(
  target: Target,
  identity: Identity,
  method: string,
  channel: 'control' | 'data',
  way: 'in' | 'out',
  body?: object,
): Promise<{ readonly status: number; readonly text: string }> {
  const url = `https://localhost:${target.ports.bootstrap}/api/flotta-management/v1/${channel}/${DEVICE}/${way}`;
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { 'content-type': 'application/json' };
  request(url, { method, agent: false, ca: target.roots, ...identity, headers }, async (response) => {
    const text = Buffer.concat(await response.toArray()).toString();
    resolve({ status: response.statusCode ?? 0, text });
  })
    .on('error', reject)
    .end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

function certificateIn(text: string): string {
  return (JSON.parse(text) as { content: { certificate: string } }).content.certificate;
}

function csrOf(commonName: string, privateKey: ReturnType<typeof generateKeyPair>['privateKey']): string {
  return encodePem('CERTIFICATE REQUEST', createCsr({ subject: { commonName }, privateKey }));
}

function pemOf({ privateKey }: ReturnType<typeof generateKeyPair>): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
