import { encodeBundle, parsePublicArea, statementToJson, type TpmStatement } from '@signet/attestation';
import {
  addAttestationCa,
  approveEnrollment,
  changeProfile,
  createProfile,
  declineEnrollment,
  listAttestationCas,
  listEnrollmentRequests,
  type ProfileChanges,
  type RefusalCode,
  removeAttestationCa,
} from '@signet/contracts';
import { createCsr, createCsrBy, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { makeCertificate, testKeyId } from '@signet/pki/testing';
import { requireServer } from '@signet/tests/servers';
import { type RunningTpm, startTpm, tpmVendor } from '@signet/tests/servers/tpm';
import {
  certifyKey,
  createDeviceKey,
  openCredential,
  ownAttestationKey,
  Tpm,
  type TpmKeyBlob,
  tpmSigner,
} from '@signet/tpm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, startBackEnd } from './support/back-end.ts';
import { call, type EstReply, enrolment, issuedIn } from './support/est-client.ts';
import { ACCOUNT, type EstFixture, openEstFixture } from './support/est-fixture.ts';

const ATTRIBUTE = '1.2.840.113549.1.9.16.2.59';
const swtpm = requireServer('swtpm');
/** How far the service's clock is ahead, ms. */
let ahead = 0;

type Asking = { readonly label: string; readonly basic: readonly [string, string] };
type Held = { readonly running: RunningTpm; readonly tpm: Tpm };

describe.skipIf(swtpm === '')('a profile that wants the key in a TPM', () => {
  const stack = new AsyncDisposableStack();
  let est: EstFixture;
  let own: Held;
  let foreign: Held;

  async function made(vendor = stack.use(tpmVendor())): Promise<Held> {
    const running = stack.use(await startTpm(swtpm, vendor));
    return { running, tpm: stack.use(await Tpm.open(running.tcti)) };
  }

  beforeAll(async () => {
    own = await made();
    foreign = await made();
    est = stack.use(
      await openEstFixture({ now: () => Date.now() + ahead, env: { SIGNET_OUTWARD_PRIVATE: 'true' } }),
    );
    await profile('tpm', { attestation: 'tpm' });
    await profile('plain', {});
    await trust(own.running.vendorCa);
  }, 120_000);
  afterAll(() => stack.disposeAsync());

  const bus = () => est.fixture.deps.bus;
  const by = 'test';
  const profile = (name: string, settings: ProfileChanges) =>
    bus().request(createProfile, { account: ACCOUNT, name, settings, by });
  const trust = (certificate: string, rules: readonly { model?: string; profile: string }[] = []) =>
    bus().request(addAttestationCa, { account: ACCOUNT, certificate, rules: [...rules], by });

  async function asking(deviceId: string, name = 'tpm'): Promise<Asking> {
    const grant = await est.grantFor(await est.bootstrapDevice(deviceId), { profile: name });
    return { label: `${ACCOUNT}.${name}`, basic: [deviceId, grant] };
  }

  const path = (label: string, operation: string) => `/.well-known/est/${label}/${operation}`;
  const post = (asked: Asking, operation: string, body: unknown) =>
    call(est, {
      path: path(asked.label, operation),
      basic: asked.basic,
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    });

  /** The nonce as only this TPM can read it. */
  async function challenged({ tpm }: Held, asked: Asking): Promise<Uint8Array> {
    const attestation = (await ownAttestationKey(tpm)) ?? expect.unreachable();
    const reply = await post(asked, 'attestation-challenge', {
      attestationKey: Buffer.from(attestation.publicArea).toString('base64'),
      certificates: [Buffer.from(attestation.endorsementCertificate).toString('base64')],
    });
    expect([reply.status, reply.body]).toEqual([200, expect.any(String)]);
    const { credentialBlob, encryptedSecret } = JSON.parse(reply.body) as Record<string, string>;
    const decoded = (text = '') => new Uint8Array(Buffer.from(text, 'base64'));
    return openCredential(tpm, attestation, {
      credentialBlob: decoded(credentialBlob),
      encryptedSecret: decoded(encryptedSecret),
    });
  }

  async function statementOf({ tpm }: Held, key: TpmKeyBlob, nonce: Uint8Array): Promise<TpmStatement> {
    return { ...(await certifyKey(tpm, key, nonce)), publicArea: key.publicArea, certificates: [] };
  }

  function csrOf({ tpm }: Held, key: TpmKeyBlob, statement?: TpmStatement): Promise<Uint8Array> {
    const attributes = statement === undefined ? [] : [{ oid: ATTRIBUTE, value: encodeBundle(statement) }];
    return createCsrBy(tpmSigner(tpm, key), { subject: {}, attributes });
  }

  const enrol = ({ label, basic }: Asking, csr: Uint8Array): Promise<EstReply> =>
    call(est, enrolment(csr, { path: path(label, 'simpleenroll'), basic }));

  /** Like refusals of one device are counted in one event: its code is what they have in common. */
  async function refused(reply: EstReply, status: number, code: RefusalCode, text: RegExp): Promise<void> {
    expect({ status: reply.status, body: reply.body }).toEqual({ status, body: expect.stringMatching(text) });
    await est.event('ENROLLMENT_REFUSED', ({ data }) => data.code === code && data.listener === 'est');
  }

  it('F24, F81: gives a certificate for the key that the TPM made and vouches for', async () => {
    const asked = await asking('in-tpm');
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, await challenged(own, asked));
    const csr = await csrOf(own, key, statement);
    const issued = issuedIn(await enrol(asked, csr));
    expect(Buffer.from(issued.spkiDer)).toEqual(Buffer.from(parsePublicArea(key.publicArea).spkiDer));
    const again = issuedIn(await enrol(asked, csr));
    expect(again.serialNumber, 'the same request again').toBe(issued.serialNumber);
  });

  it('F6: refuses a key in software', async () => {
    const asked = await asking('in-software');
    const { privateKey } = generateKeyPair('P-256');
    const reply = await enrol(asked, createCsr({ privateKey }));
    await refused(reply, 403, 'no-attestation', /profile "acme\.tpm" certifies only keys .* in a TPM/);

    const key = await createDeviceKey(own.tpm);
    const value = encodeBundle(await statementOf(own, key, await challenged(own, asked)));
    const borrowed = await enrol(asked, createCsr({ privateKey, attributes: [{ oid: ATTRIBUTE, value }] }));
    await refused(
      borrowed,
      403,
      'not-a-tpm-key',
      /^attestation: wrong-key: public area: is not that of the key/,
    );
  });

  it('F6: refuses a nonce of its own making, of another device, replayed, and too old', async () => {
    const asked = await asking('replays');
    const key = await createDeviceKey(own.tpm);
    const invented = await csrOf(own, key, await statementOf(own, key, Buffer.alloc(32, 1)));
    await refused(await enrol(asked, invented), 403, 'wrong-nonce', /was not given to this device/);

    const nonce = await challenged(own, asked);
    const stolen = await csrOf(own, key, await statementOf(own, key, nonce));
    await refused(
      await enrol(await asking('steals'), stolen),
      403,
      'wrong-nonce',
      /was not given to this device/,
    );

    const statement = await statementOf(own, key, nonce);
    issuedIn(await enrol(asked, await csrOf(own, key, statement)));
    const replay = await enrol(asked, await csrOf(own, key, statement));
    await refused(replay, 403, 'wrong-nonce', /was used by another request/);

    const slow = await asking('slow');
    const old = await csrOf(own, key, await statementOf(own, key, await challenged(own, slow)));
    ahead += 300_000;
    await refused(await enrol(slow, old), 403, 'wrong-nonce', /the nonce expired at /);
  });

  it('F6: refuses a key of another TPM, and a TPM of a vendor that the account does not trust', async () => {
    const asked = await asking('elsewhere');
    const nonce = await challenged(own, asked);
    const key = await createDeviceKey(foreign.tpm);
    const reply = await enrol(asked, await csrOf(foreign, key, await statementOf(foreign, key, nonce)));
    await refused(
      reply,
      400,
      'bad-attestation',
      /^attestation: bad-signature: .*not signed by the attestation key/,
    );

    const attestation = (await ownAttestationKey(foreign.tpm)) ?? expect.unreachable();
    const unknown = await post(asked, 'attestation-challenge', {
      attestationKey: Buffer.from(attestation.publicArea).toString('base64'),
      certificates: [Buffer.from(attestation.endorsementCertificate).toString('base64')],
    });
    await refused(unknown, 403, 'unknown-vendor', /no CA that the account trusts is above it/);
  });

  it('F6: refuses what was changed on the way, and what is no statement', async () => {
    const asked = await asking('changed');
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, await challenged(own, asked));
    const changed = (field: 'attest' | 'publicArea', at: number) => {
      const bytes = statement[field].slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x40;
      return csrOf(own, key, { ...statement, [field]: bytes });
    };
    await refused(await enrol(asked, await changed('publicArea', 7)), 403, 'not-a-tpm-key', /: wrong-name: /);
    await refused(await enrol(asked, await changed('attest', 0)), 400, 'bad-attestation', /: wrong-magic: /);
    await refused(await enrol(asked, await changed('attest', 5)), 400, 'bad-attestation', /: wrong-type: /);
    const { privateKey } = generateKeyPair('P-256');
    const attributes = [{ oid: ATTRIBUTE, value: Buffer.of(0x30, 0x00) }];
    const empty = await enrol(asked, createCsr({ privateKey, attributes }));
    await refused(empty, 400, 'bad-attestation', /^attestation: malformed: AttestationBundle: missing/);
  });

  it('takes the statement as JSON before a CSR that cannot carry it', async () => {
    const asked = await asking('two-steps');
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, await challenged(own, asked));
    const reply = await post(asked, 'attestation', statementToJson(statement));
    expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
      200,
      { tpm: { manufacturer: 'id:00001014', model: 'swtpm' } },
    ]);
    await refused(
      await enrol(asked, createCsr({ privateKey: generateKeyPair('P-256').privateKey })),
      403,
      'no-attestation',
      /missing/,
    );
    issuedIn(await enrol(asked, await csrOf(own, key)));
    const twice = await post(asked, 'attestation', { ...statementToJson(statement), more: 1 });
    await refused(twice, 400, 'bad-attestation', /^attestation: malformed: statement: /);
  });

  it('a nonce in the clear is no proof of an attestation key without a certificate', async () => {
    const asked = await asking('in-the-clear');
    const reply = await call(est, { path: path(asked.label, 'attestation-nonce'), basic: asked.basic });
    const { nonce = '' } = JSON.parse(reply.body) as Record<string, string>;
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, Buffer.from(nonce, 'base64'));
    const bare = await enrol(asked, await csrOf(own, key, statement));
    await refused(bare, 403, 'unknown-vendor', /attestation certificate: missing/);
    const anonymous = await call(est, { path: path(asked.label, 'attestation-nonce') });
    expect(anonymous.status).toBe(401);
  });

  it('with a certificate of its attestation key a nonce in the clear is enough', async () => {
    const ca = generateKeyPair('P-256');
    const issuer = { commonName: 'CA of attestation keys' };
    const time = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 86_400_000 };
    const authority = makeCertificate({
      ...{ ...time, subject: issuer, issuer, publicKey: ca.publicKey, signingKey: ca.privateKey },
      ...{ ca: true, keyUsage: ['keyCertSign'], subjectKeyId: testKeyId(ca.publicKey) },
    });
    const attestation = (await ownAttestationKey(own.tpm)) ?? expect.unreachable();
    const { publicKey } = parsePublicArea(attestation.publicArea);
    const certificate = makeCertificate({
      ...{
        ...time,
        subject: { commonName: 'attestation key' },
        issuer,
        publicKey,
        signingKey: ca.privateKey,
      },
      ...{ extKeyUsage: ['2.23.133.8.3'], keyUsage: ['digitalSignature'] },
      authorityKeyId: testKeyId(ca.publicKey),
    });
    const asked = await asking('certified-key');
    const reply = await call(est, { path: path(asked.label, 'attestation-nonce'), basic: asked.basic });
    const { nonce = '' } = JSON.parse(reply.body) as Record<string, string>;
    const key = await createDeviceKey(own.tpm);
    const bare = await statementOf(own, key, Buffer.from(nonce, 'base64'));
    const csr = await csrOf(own, key, { ...bare, certificates: [certificate.der] });
    await refused(await enrol(asked, csr), 403, 'unknown-vendor', /no CA that the account trusts/);
    await trust(authority.pem());
    issuedIn(await enrol(asked, csr));
  });

  it('F81: which TPM it is decides the profile', async () => {
    await profile('hardware', { attestation: 'tpm', validityDays: 7 });
    await trust(own.running.vendorCa, [
      { model: 'another', profile: 'tpm' },
      { model: 'swtpm', profile: 'hardware' },
    ]);
    const asked = await asking('decided');
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, await challenged(own, asked));
    const issued = issuedIn(await enrol(asked, await csrOf(own, key, statement)));
    expect(Math.round((issued.notAfter - Date.now()) / 86_400_000)).toBe(7);
    const event = await est.event('CERT_ISSUED', ({ subject }) => subject === 'decided');
    expect(event.data.profile).toBe('acme.hardware');

    await trust(own.running.vendorCa);
  });

  it('F6: a renewal does not lead out of the TPM by way of another label', async () => {
    await profile('tightened', {});
    const asked = await asking('leaves', 'tightened');
    const { privateKey } = generateKeyPair('P-256');
    const issued = issuedIn(await enrol(asked, createCsr({ privateKey })));
    await bus().request(changeProfile, {
      account: ACCOUNT,
      name: 'tightened',
      settings: { attestation: 'tpm' },
      by,
    });
    const identity = { certificate: issued.pem(), privateKey };
    const renewal = (label: string) =>
      call(
        est,
        enrolment(
          { subjectDer: issued.subjectDer, privateKey: generateKeyPair('P-256').privateKey },
          { identity, path: path(label, 'simplereenroll') },
        ),
      );
    await refused(
      await renewal(`${ACCOUNT}.tightened`),
      403,
      'no-attestation',
      /missing; profile "acme\.tightened"/,
    );
    await refused(
      await renewal(`${ACCOUNT}.plain`),
      403,
      'wrong-profile',
      /"acme\.plain" is another profile than "acme\.tightened"/,
    );
  });

  /** A request of a TPM that the account trusts: the statement of one of its keys stands in the CSR. */
  async function csrFrom(held: Held, asked: Asking): Promise<Uint8Array> {
    const key = await createDeviceKey(held.tpm);
    return csrOf(held, key, await statementOf(held, key, await challenged(held, asked)));
  }

  it("F15, F81: after an operator declined a stranger's TPM, the device enrols with its own", async () => {
    await profile('watched', { attestation: 'tpm', approval: 'first' });
    await trust(foreign.running.vendorCa);
    const waiting = async () => {
      const { items } = await bus().request(listEnrollmentRequests, { account: ACCOUNT, state: 'waiting' });
      return items.find(({ deviceId }) => deviceId === 'contested')?.requestId ?? expect.unreachable();
    };
    const asked = await asking('contested', 'watched');
    const strange = await csrFrom(foreign, asked);
    expect((await enrol(asked, strange)).status).toBe(202);
    const reason = 'not ours';
    await bus().request(declineEnrollment, { account: ACCOUNT, requestId: await waiting(), reason, by });
    await refused(await enrol(asked, strange), 403, 'declined', /declined at .*: not ours/);

    const ours = await csrFrom(own, asked);
    expect((await enrol(asked, ours)).status, 'the own TPM waits for its approval').toBe(202);
    await bus().request(approveEnrollment, { account: ACCOUNT, requestId: await waiting(), by });
    issuedIn(await enrol(asked, ours));
    await refused(
      await enrol(asked, await csrFrom(foreign, asked)),
      403,
      'other-tpm',
      /by another TPM than the first one of the device/,
    );
  });

  it("F15, F81: after the owner's back end refused a stranger's TPM, the device enrols with its own", async () => {
    await using backEnd = await startBackEnd();
    await profile('consented', { attestation: 'tpm', webhook: { url: backEnd.url } });
    await trust(foreign.running.vendorCa);
    const asked = await asking('refused-first', 'consented');
    backEnd.answer = json({ allow: false, reason: 'unknown board' });
    await refused(
      await enrol(asked, await csrFrom(foreign, asked)),
      403,
      'hook-refused',
      /webhook: refused: unknown board/,
    );
    backEnd.answer = json({ allow: true });
    issuedIn(await enrol(asked, await csrFrom(own, asked)));
  });

  it('refuses a rule whose profile asks for no attestation, and a certificate that is none of a CA', async () => {
    await expect(trust(own.running.vendorCa, [{ profile: 'plain' }])).rejects.toMatchObject({
      code: 'invalid-profile',
      message: expect.stringContaining('"acme.plain" does not ask for attestation'),
    });
    await expect(trust(own.running.vendorCa, [{ profile: 'nowhere' }])).rejects.toMatchObject({
      code: 'unknown-profile',
    });
    const { certificate } = await est.bootstrapDevice('no-ca');
    await expect(trust(certificate)).rejects.toMatchObject({
      code: 'bad-certificate',
      message: 'certificate: is not one of a CA that may issue',
    });
    await expect(profile('both', { attestation: 'tpm', serverKeygen: true })).rejects.toMatchObject({
      code: 'invalid-profile',
      field: 'attestation',
    });
  });

  it('a CA that is trusted no more vouches for nothing, and not for what was begun either', async () => {
    const asked = await asking('late');
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key, await challenged(own, asked));
    const id = parseCertificatePem(own.running.vendorCa).fingerprint;
    await bus().request(removeAttestationCa, { account: ACCOUNT, id, by });
    const trusted = (await bus().request(listAttestationCas, { account: ACCOUNT })).items.map((ca) => ca.id);
    expect(trusted).not.toContain(id);
    const reply = await enrol(asked, await csrOf(own, key, statement));
    await refused(reply, 403, 'unknown-vendor', /does not trust its CA any more/);
    await expect(bus().request(removeAttestationCa, { account: ACCOUNT, id, by })).rejects.toMatchObject({
      code: 'unknown-attestation-ca',
    });
    await trust(own.running.vendorRoot);
    await trust(own.running.vendorCa);
  });
});
