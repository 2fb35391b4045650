import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  AttestationError,
  checkAttestationKey,
  endorsementKeyOf,
  join as joined,
  makeCredential,
  nameOf,
  parsePublicArea,
  readStatement,
  type TpmStatement,
  u32,
  verifyStatement,
  vouchedTpm,
} from '@signet/attestation';
import { exportSpki, generateKeyPair, parseCertificatePem } from '@signet/pki';
import { requireServer } from '@signet/tests/servers';
import { type RunningTpm, startTpm, tpmVendor } from '@signet/tests/servers/tpm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  certifyKey,
  createDeviceKey,
  DEVICE_KEY,
  decodeTss2Key,
  ENDORSEMENT_KEYS,
  encodeTss2Key,
  HIERARCHY,
  openCredential,
  ownAttestationKey,
  Tpm,
  TpmError,
  type TpmKeyBlob,
} from '../src/index.ts';

const execute = promisify(execFile);
const swtpm = requireServer('swtpm');
const nonce = Buffer.from('a nonce of 32 bytes, given once');
/** After the TPMs were made. */
const now = Date.now() + 3_600_000;

/** A TPM at hand, with its attestation key. */
type Held = {
  readonly running: RunningTpm;
  readonly tpm: Tpm;
  readonly attestation: NonNullable<Awaited<ReturnType<typeof ownAttestationKey>>>;
};

describe.skipIf(swtpm === '')('a TPM and what it says', () => {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'signet-tpm-test-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  let own: Held;
  let other: Held;

  async function made(): Promise<Held> {
    const running = stack.use(await startTpm(swtpm, stack.use(tpmVendor())));
    const tpm = stack.use(await Tpm.open(running.tcti));
    return { running, tpm, attestation: (await ownAttestationKey(tpm)) ?? expect.unreachable() };
  }

  beforeAll(async () => {
    own = await made();
    other = await made();
  }, 120_000);
  afterAll(() => stack.disposeAsync());

  async function statementOf({ tpm }: Held, key: TpmKeyBlob, said = nonce): Promise<TpmStatement> {
    return { ...(await certifyKey(tpm, key, said)), publicArea: key.publicArea, certificates: [] };
  }

  const spki = (key: TpmKeyBlob) => parsePublicArea(key.publicArea).spkiDer;
  const attestationKey = ({ attestation }: Held) => parsePublicArea(attestation.publicArea).publicKey;
  const refusal = (step: () => unknown): AttestationError => {
    try {
      step();
    } catch (error) {
      if (error instanceof AttestationError) return error;
      throw error;
    }
    return expect.unreachable('it was accepted');
  };

  it('vouches for a key that it made: nonce, name, attributes, signature', async () => {
    const key = await createDeviceKey(own.tpm);
    const read = readStatement(await statementOf(own, key));
    const attested = verifyStatement(read, {
      nonce,
      spkiDer: spki(key),
      attestationKey: attestationKey(own),
    });
    expect(attested.name).toBe(Buffer.from(nameOf(parsePublicArea(key.publicArea))).toString('hex'));
  });

  it('has a certificate of its vendor, and its attestation key is one', async () => {
    const cas = [{ certificate: parseCertificatePem(own.running.vendorCa) }];
    const vouched = vouchedTpm([own.attestation.endorsementCertificate], 'endorsement', { cas, now });
    expect(vouched).toMatchObject({ manufacturer: 'id:00001014', model: 'swtpm' });
    checkAttestationKey(parsePublicArea(own.attestation.publicArea));
    const above = [{ certificate: parseCertificatePem(own.running.vendorRoot) }];
    const sent = [own.attestation.endorsementCertificate, parseCertificatePem(own.running.vendorCa).der];
    expect(vouchedTpm(sent, 'endorsement', { cas: above, now }).ca).toBe(above[0]);
  });

  it('a TPM of a vendor that is not trusted, or out of its time, is refused', () => {
    const sent = [own.attestation.endorsementCertificate];
    const foreign = [{ certificate: parseCertificatePem(other.running.vendorCa) }];
    expect(refusal(() => vouchedTpm(sent, 'endorsement', { cas: foreign, now }))).toMatchObject({
      code: 'unknown-vendor',
      message: expect.stringMatching(/^endorsement certificate: no CA that the account trusts is above it/),
    });
    const cas = [{ certificate: parseCertificatePem(own.running.vendorCa) }];
    const late = Date.UTC(9999, 11, 31, 23, 59, 59) + 1000;
    expect(refusal(() => vouchedTpm(sent, 'endorsement', { cas, now: late })).code).toBe(
      'expired-certificate',
    );
    expect(refusal(() => vouchedTpm(sent, 'attestation', { cas, now }))).toMatchObject({
      code: 'wrong-certificate',
      message: 'attestation certificate: lacks the extended key usage tcg-kp-AIKCertificate',
    });
  });

  it.each(
    ENDORSEMENT_KEYS.map((endorsement, index) => [index === 0 ? 'P-256' : 'RSA-2048', endorsement] as const),
  )(
    'opens what was encrypted to its %s endorsement key, and no other TPM does',
    async (_kind, endorsement) => {
      const primary = await own.tpm.createPrimary(HIERARCHY.endorsement, endorsement.template);
      await own.tpm.flush(primary.handle);
      const { publicKey } = parsePublicArea(primary.publicArea);
      const name = nameOf(parsePublicArea(own.attestation.publicArea));
      const secret = Buffer.from('thirty-two bytes of no meaning!');
      const credential = makeCredential(endorsementKeyOf(publicKey), name, secret);
      expect(Buffer.from(await openCredential(own.tpm, { endorsement }, credential))).toEqual(secret);
      await expect(openCredential(other.tpm, { endorsement }, credential)).rejects.toBeInstanceOf(TpmError);
      const misnamed = makeCredential(
        endorsementKeyOf(publicKey),
        name.with(-1, (name.at(-1) ?? 0) ^ 1),
        secret,
      );
      await expect(openCredential(own.tpm, { endorsement }, misnamed)).rejects.toMatchObject({
        code: 'refused',
      });
    },
  );

  it('tpm2-tools agree: they open our credential, and what they certify is read', async () => {
    const at = (name: string) => join(folder, name);
    const run = (command: string, ...args: string[]) =>
      execute(command, args, { env: { ...process.env, TPM2TOOLS_TCTI: own.running.tcti } });
    await run('tpm2_createek', '-c', at('ek.ctx'), '-G', 'rsa', '-u', at('ek.pub'));
    await run(
      'tpm2_createak',
      '-C',
      at('ek.ctx'),
      '-c',
      at('ak.ctx'),
      '-G',
      'ecc',
      '-g',
      'sha256',
      '-s',
      'ecdsa',
      '-u',
      at('ak.pub'),
    );
    const area = parsePublicArea(readFileSync(at('ak.pub')).subarray(2));
    checkAttestationKey(area);
    const ek = parsePublicArea(readFileSync(at('ek.pub')).subarray(2));
    const { credentialBlob, encryptedSecret } = makeCredential(
      endorsementKeyOf(ek.publicKey),
      nameOf(area),
      nonce,
    );
    writeFileSync(at('credential'), joined(u32(0xbadcc0de), u32(1), credentialBlob, encryptedSecret));
    await run('tpm2_startauthsession', '--policy-session', '-S', at('session.ctx'));
    await run('tpm2_policysecret', '-S', at('session.ctx'), '-c', 'e');
    await run(
      'tpm2_activatecredential',
      '-c',
      at('ak.ctx'),
      '-C',
      at('ek.ctx'),
      '-i',
      at('credential'),
      '-o',
      at('opened'),
      '-P',
      `session:${at('session.ctx')}`,
    );
    expect(readFileSync(at('opened'))).toEqual(nonce);

    await run('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', at('srk.ctx'));
    const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign';
    await run(
      'tpm2_create',
      '-C',
      at('srk.ctx'),
      '-G',
      'ecc',
      '-u',
      at('k.pub'),
      '-r',
      at('k.priv'),
      '-c',
      at('k.ctx'),
      '-a',
      attributes,
    );
    const publicArea = readFileSync(at('k.pub')).subarray(2);
    for (const format of ['tss', 'plain']) {
      await run(
        'tpm2_certify',
        '-c',
        at('k.ctx'),
        '-C',
        at('ak.ctx'),
        '-g',
        'sha256',
        '-f',
        format,
        '-o',
        at('attest'),
        '-s',
        at('signature'),
      );
      const attest = readFileSync(at('attest'));
      const statement = { attest, signature: readFileSync(at('signature')), publicArea, certificates: [] };
      const { spkiDer } = parsePublicArea(publicArea);
      // tpm2_certify puts this in the place of a nonce
      const constant = Buffer.from('00ff55aa', 'hex');
      verifyStatement(readStatement(statement), { nonce: constant, spkiDer, attestationKey: area.publicKey });
    }
  });

  it('F6: a software key is refused: the statement is about another key', async () => {
    const key = await createDeviceKey(own.tpm);
    const read = readStatement(await statementOf(own, key));
    const spkiDer = exportSpki(generateKeyPair('P-256').publicKey);
    const error = refusal(() =>
      verifyStatement(read, { nonce, spkiDer, attestationKey: attestationKey(own) }),
    );
    expect(error).toMatchObject({
      code: 'wrong-key',
      message: 'public area: is not that of the key that asks',
    });
  });

  it('F6: a replayed statement is refused: it has an old nonce', async () => {
    const key = await createDeviceKey(own.tpm);
    const read = readStatement(await statementOf(own, key, Buffer.from('the nonce of yesterday')));
    const expected = { nonce, spkiDer: spki(key), attestationKey: attestationKey(own) };
    expect(refusal(() => verifyStatement(read, expected))).toMatchObject({
      code: 'wrong-nonce',
      message: 'attestation: extraData: is not the nonce that was given out',
    });
  });

  it('F6: a key of another TPM is refused: our attestation key did not sign', async () => {
    const key = await createDeviceKey(other.tpm);
    const read = readStatement(await statementOf(other, key));
    const expected = { nonce, spkiDer: spki(key), attestationKey: attestationKey(own) };
    expect(refusal(() => verifyStatement(read, expected)).code).toBe('bad-signature');
  });

  it('F6: an attribute that was changed on the way is refused by the name of the key', async () => {
    const key = await createDeviceKey(own.tpm);
    const statement = await statementOf(own, key);
    const publicArea = statement.publicArea.slice();
    publicArea[7] = (publicArea[7] ?? 0) ^ 0x40;
    const expected = { nonce, spkiDer: spki(key), attestationKey: attestationKey(own) };
    expect(refusal(() => verifyStatement(readStatement({ ...statement, publicArea }), expected)).code).toBe(
      'wrong-name',
    );
  });

  it('F15: a key that could be exported from its TPM is refused, naming the attribute', async () => {
    const template = DEVICE_KEY.slice();
    template[7] = (template[7] ?? 0) & ~0x12;
    const key = await createDeviceKey(own.tpm, template);
    const expected = { nonce, spkiDer: spki(key), attestationKey: attestationKey(own) };
    const read = readStatement(await statementOf(own, key));
    expect(refusal(() => verifyStatement(read, expected))).toMatchObject({
      code: 'wrong-attribute',
      message: 'key: attribute fixedTPM is missing',
    });
  });

  it('F5: a copied key blob is of no use on a second TPM', async () => {
    const copied = decodeTss2Key(encodeTss2Key(await createDeviceKey(own.tpm)));
    await certifyKey(own.tpm, copied, nonce);
    await expect(certifyKey(other.tpm, copied, nonce)).rejects.toMatchObject({
      name: 'TpmError',
      code: 'refused',
      // TPM_RC_INTEGRITY of parameter 1
      responseCode: 0x1df,
    });
  });

  it('leaves nothing loaded behind', async () => {
    for (let i = 0; i < 5; i++) await certifyKey(own.tpm, await createDeviceKey(own.tpm), nonce);
  });
});
