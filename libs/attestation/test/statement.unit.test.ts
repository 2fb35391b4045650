import { exportSpki, generateKeyPair } from '@signet/pki';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AttestationError,
  checkAttestationKey,
  encodeBundle,
  parseBundle,
  parsePublicArea,
  parseStatementJson,
  readStatement,
  statementToJson,
  type TpmStatement,
  u16,
  verifyStatement,
  vouchedTpm,
} from '../src/index.ts';
import { eccArea, type Forgery, forgedStatement, SOUND } from './forged-tpm.ts';

function verified(forgery: Forgery = {}, change: (statement: TpmStatement) => TpmStatement = (same) => same) {
  const { statement, nonce, publicKey, attestationKey } = forgedStatement(forgery);
  const spkiDer = exportSpki(publicKey);
  return verifyStatement(readStatement(change(statement)), { nonce, spkiDer, attestationKey });
}

function refusal(step: () => unknown): { code: string; message: string } {
  try {
    step();
  } catch (error) {
    if (error instanceof AttestationError) return { code: error.code, message: error.message };
    throw error;
  }
  return expect.unreachable('it was accepted');
}

describe('a statement of a TPM', () => {
  it('is accepted when it is well-formed', () => {
    expect(verified().name).toMatch(/^000b[0-9a-f]{64}$/);
  });

  it.each<[string, Forgery, string, string]>([
    [
      'made outside of a TPM',
      { magic: 0x00544347 },
      'wrong-magic',
      'attestation: magic: ff544347 expected, found 00544347',
    ],
    [
      'a quote',
      { type: 0x8018 },
      'wrong-type',
      'attestation: type: TPM_ST_ATTEST_CERTIFY (8017) expected, found 8018',
    ],
    [
      'of a creation',
      { type: 0x801a },
      'wrong-type',
      'attestation: type: TPM_ST_ATTEST_CERTIFY (8017) expected, found 801a',
    ],
    ...SOUND.filter((name) => name !== 'userWithAuth').map((missing): [string, Forgery, string, string] => [
      `about a key without ${missing}`,
      { attributes: SOUND.filter((name) => name !== missing) },
      'wrong-attribute',
      `key: attribute ${missing} is missing`,
    ]),
    [
      'about a key that may be duplicated',
      { attributes: [...SOUND, 'encryptedDuplication'] },
      'wrong-attribute',
      'key: attribute encryptedDuplication must not be set',
    ],
    [
      'about an attestation key',
      { attributes: [...SOUND, 'restricted'] },
      'wrong-attribute',
      'key: attribute restricted must not be set',
    ],
  ])('%s is refused by name', (_what, forgery, code, message) => {
    expect(refusal(() => verified(forgery))).toEqual({ code, message });
  });

  it('signed by another key, or changed after it was signed, is refused', () => {
    const flipped = ({ attest, ...rest }: TpmStatement): TpmStatement => {
      const changed = attest.slice();
      changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
      return { ...rest, attest: changed };
    };
    expect(refusal(() => verified({}, flipped)).code).toBe('bad-signature');
    const { signature } = forgedStatement().statement;
    expect(refusal(() => verified({}, (statement) => ({ ...statement, signature }))).code).toBe(
      'bad-signature',
    );
    const rsa = Buffer.concat([u16(0x14), u16(0x0b), u16(256), Buffer.alloc(256)]);
    expect(refusal(() => verified({}, (statement) => ({ ...statement, signature: rsa })))).toEqual({
      code: 'bad-signature',
      message: 'signature: of another kind than the attestation key',
    });
  });

  it('with the public area of another key is refused: the name does not fit', () => {
    const publicArea = eccArea(generateKeyPair('P-256').publicKey);
    expect(refusal(() => verified({}, (statement) => ({ ...statement, publicArea }))).code).toBe(
      'wrong-name',
    );
  });

  it('SHA-1 signs nothing here', () => {
    const sha1 = Buffer.concat([u16(0x18), u16(0x04), u16(1), Buffer.of(1), u16(1), Buffer.of(1)]);
    expect(refusal(() => verified({}, (statement) => ({ ...statement, signature: sha1 })))).toEqual({
      code: 'unsupported-algorithm',
      message: 'signature: hash: hash 0x0004 is not supported',
    });
  });
});

describe('an attestation key', () => {
  it('that would sign what its TPM did not make is none', () => {
    const area = (...attributes: Parameters<typeof eccArea>[1] & {}) =>
      parsePublicArea(eccArea(generateKeyPair('P-256').publicKey, attributes));
    checkAttestationKey(area(...SOUND, 'restricted'));
    expect(refusal(() => checkAttestationKey(area(...SOUND)))).toEqual({
      code: 'not-an-attestation-key',
      message: 'attestation key: attribute restricted is missing',
    });
    expect(refusal(() => checkAttestationKey(area(...SOUND, 'restricted', 'decrypt'))).code).toBe(
      'not-an-attestation-key',
    );
  });
});

describe('the statement on its way', () => {
  it('is the same after JSON and after the attribute of a CSR', () => {
    const { statement } = forgedStatement();
    expect(parseStatementJson(JSON.parse(JSON.stringify(statementToJson(statement))))).toEqual(statement);
    expect(parseBundle(encodeBundle(statement))).toEqual(statement);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'statement: '],
    ['another format', { format: 'tpm1' }, 'format: '],
    ['no base64', { ...statementToJson(forgedStatement().statement), attest: '*' }, 'attest: '],
    ['a field too many', { ...statementToJson(forgedStatement().statement), more: 1 }, 'statement: '],
  ])('as JSON: %s is refused, naming the field', (_what, value, field) => {
    const { code, message } = refusal(() => parseStatementJson(value));
    expect([code, message.slice(0, field.length)]).toEqual(['malformed', field]);
  });
});

describe('bytes of any kind', () => {
  const { statement, nonce, publicKey, attestationKey } = forgedStatement();
  const spkiDer = exportSpki(publicKey);
  const bundle = encodeBundle(statement);
  const judged = (step: () => unknown) => {
    try {
      step();
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(AttestationError);
      return false;
    }
  };
  const judgedBundle = (der: Uint8Array) =>
    judged(() => verifyStatement(readStatement(parseBundle(der)), { nonce, spkiDer, attestationKey }));

  it('are refused with a reason, or are the statement that was signed', () => {
    const changes = fc.array(fc.tuple(fc.nat(bundle.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(changes, fc.nat(bundle.length), (edits, end) => {
        const changed = bundle.slice();
        for (const [at, value] of edits) changed[at] = value;
        judgedBundle(changed);
        if (end < bundle.length) expect(judgedBundle(bundle.slice(0, end))).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });

  it('in each structure by itself, of any length, never crash the reader', () => {
    const one = (field: keyof TpmStatement, start: Uint8Array) =>
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = Buffer.concat([start, tail]);
        judged(() =>
          verifyStatement(readStatement({ ...statement, [field]: bytes }), {
            nonce,
            spkiDer,
            attestationKey,
          }),
        );
        judged(() => vouchedTpm([bytes], 'endorsement', { cas: [], now: 0 }));
      });
    fc.assert(one('attest', statement.attest.slice(0, 6)), { numRuns: 1000 });
    fc.assert(one('publicArea', statement.publicArea.slice(0, 4)), { numRuns: 1000 });
    fc.assert(one('signature', statement.signature.slice(0, 4)), { numRuns: 1000 });
  });
});
