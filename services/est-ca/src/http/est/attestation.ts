import {
  AttestationError,
  parsePublicArea,
  parseStatementJson,
  type TpmStatement,
} from '@signet/attestation';
import { ForeignJsonError, readForeignJson } from '@signet/contracts';
import { publicKeyHash, type VerifiedPeer } from '@signet/pki';
import { z } from 'zod';
import type { TpmFacts } from '../../domain/attestation/nonce.ts';
import type { Challenge, ChallengeRequest } from '../../domain/attestation/verify-attestation.ts';
import type { AuthenticationRequest } from '../../domain/enrollment/authenticate.ts';
import { EnrollmentError, type ProvenDevice } from '../../domain/enrollment-error.ts';
import type { Label } from '../../domain/profile/profile.ts';
import type { Answer } from './answer.ts';
import { type BasicCredentials, parseBasicCredentials } from './basic-credentials.ts';
import { WireError } from './wire-error.ts';

/** How a device proves that a TPM holds its key. */
export type AttestationServices = {
  /** Who asks. @throws EnrollmentError */
  readonly device: (request: AuthenticationRequest) => Promise<ProvenDevice>;
  readonly nonce: (
    device: ProvenDevice,
  ) => Promise<{ readonly nonce: Uint8Array; readonly expiresAt: string }>;
  readonly challenge: (device: ProvenDevice, request: ChallengeRequest) => Promise<Challenge>;
  readonly attest: (
    device: ProvenDevice,
    statement: TpmStatement,
    key: { readonly spkiDer: Uint8Array; readonly publicKeyHash: string },
  ) => Promise<{ readonly tpm: TpmFacts; readonly expiresAt: string }>;
};

type AttestationRequest = {
  readonly operation: string;
  readonly label: Label | undefined;
  readonly peer: VerifiedPeer | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: Uint8Array | undefined;
};

const octets = (max: number) =>
  z
    .base64()
    .max(Math.ceil(max / 3) * 4)
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const ChallengeBody = z
  .object({ attestationKey: octets(4096), certificates: z.array(octets(8192)).min(1).max(8) })
  .strict();

/** `attestation-nonce`, `attestation-challenge` and `attestation`: all in JSON, octets in base64. */
export async function attestationAnswer(
  services: AttestationServices,
  request: AttestationRequest,
): Promise<Answer> {
  const { operation, label, peer } = request;
  const body = operation === 'attestation-nonce' ? undefined : jsonOf(request);
  const basic: BasicCredentials | undefined = parseBasicCredentials(request.authorization);
  const device = await services.device({ credentials: { basic }, label, peer });
  switch (operation) {
    case 'attestation-nonce': {
      const { nonce, expiresAt } = await services.nonce(device);
      return json({ nonce: base64(nonce), expiresAt });
    }
    case 'attestation-challenge': {
      const parsed = ChallengeBody.safeParse(body);
      if (!parsed.success) throw new WireError(400, `body: ${z.prettifyError(parsed.error)}`);
      const { credentialBlob, encryptedSecret, expiresAt } = await services.challenge(device, parsed.data);
      return json({
        credentialBlob: base64(credentialBlob),
        encryptedSecret: base64(encryptedSecret),
        expiresAt,
      });
    }
    default: {
      const { statement, spkiDer } = readStatement(body);
      const key = { spkiDer, publicKeyHash: publicKeyHash(spkiDer) };
      const { tpm, expiresAt } = await services.attest(device, statement, key);
      return json({ publicKeyHash: key.publicKeyHash, tpm, expiresAt });
    }
  }
}

/** The key is the one that the statement is about: a CSR of another one finds nothing. */
function readStatement(body: unknown): { readonly statement: TpmStatement; readonly spkiDer: Uint8Array } {
  try {
    const statement = parseStatementJson(body);
    return { statement, spkiDer: parsePublicArea(statement.publicArea).spkiDer };
  } catch (cause) {
    if (!(cause instanceof AttestationError)) throw cause;
    throw new EnrollmentError('bad-attestation', `attestation: ${cause.code}: ${cause.message}`, { cause });
  }
}

function jsonOf({ contentType, body }: AttestationRequest): unknown {
  if (!/^application\/json *(;|$)/i.test(contentType ?? ''))
    throw new WireError(415, 'Content-Type: application/json expected');
  try {
    return readForeignJson(body ?? new Uint8Array(), 'body');
  } catch (cause) {
    if (!(cause instanceof ForeignJsonError)) throw cause;
    throw new WireError(400, cause.message);
  }
}

function json(value: unknown): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
