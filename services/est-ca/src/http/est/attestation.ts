import {
  AttestationError,
  parsePublicArea,
  parseStatementJson,
  type TpmStatement,
} from '@signet/attestation';
import { ForeignJsonError, readForeignJson } from '@signet/contracts';
import { publicKeyHash } from '@signet/pki';
import { z } from 'zod';
import { giveNonce } from '../../domain/attestation/nonce.ts';
import { type AttestationDeps, attestKey } from '../../domain/attestation/require-attestation.ts';
import { challenge } from '../../domain/attestation/verify-attestation.ts';
import { type AuthenticateCtx, authenticateForNonce } from '../../domain/enrollment/authenticate.ts';
import { EnrollmentError, namingDevice } from '../../domain/est/enrollment-error.ts';
import { type EstRequest, parseBasicCredentials } from './est-request.ts';
import { type EstResponse, WireError } from './est-response.ts';

/** The collaborators of these operations. */
export type AttestationCtx = AuthenticateCtx & { readonly attestation: AttestationDeps };

const bytes = (max: number) =>
  z
    .base64()
    .max(Math.ceil(max / 3) * 4)
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

const ChallengeBody = z
  .object({ attestationKey: bytes(4096), certificates: z.array(bytes(8192)).min(1).max(8) })
  .strict();

/** `attestation-nonce`, `attestation-challenge` and `attestation`: all in JSON, bytes in base64. */
export function attestationResponse(ctx: AttestationCtx, request: EstRequest): Promise<EstResponse> {
  const { route, peer, authorization } = request;
  const { operation, label } = route;
  const { attestation } = ctx;
  return namingDevice(async (proven) => {
    const body = operation === 'attestation-nonce' ? undefined : jsonOf(request);
    const credentials = { basic: parseBasicCredentials(authorization) };
    const device = await authenticateForNonce(ctx, { credentials, label, peer }, proven);
    switch (operation) {
      case 'attestation-nonce': {
        const { nonce, expiresAt } = await giveNonce(attestation, device);
        return json({ nonce: base64(nonce), expiresAt });
      }
      case 'attestation-challenge': {
        const parsed = ChallengeBody.safeParse(body);
        if (!parsed.success) throw new WireError(400, `body: ${z.prettifyError(parsed.error)}`);
        const { credentialBlob, encryptedSecret, expiresAt } = await challenge(
          attestation,
          device,
          parsed.data,
        );
        return json({
          credentialBlob: base64(credentialBlob),
          encryptedSecret: base64(encryptedSecret),
          expiresAt,
        });
      }
      default: {
        const { statement, spkiDer } = readStatement(body);
        const key = { spkiDer, publicKeyHash: publicKeyHash(spkiDer) };
        const { tpm, expiresAt } = await attestKey(attestation, device, statement, key);
        return json({ publicKeyHash: key.publicKeyHash, tpm, expiresAt });
      }
    }
  });
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

function jsonOf({ contentType, body }: EstRequest): unknown {
  if (!/^application\/json *(;|$)/i.test(contentType ?? ''))
    throw new WireError(415, 'Content-Type: application/json expected');
  try {
    return readForeignJson(body ?? new Uint8Array(), 'body');
  } catch (cause) {
    if (!(cause instanceof ForeignJsonError)) throw cause;
    throw new WireError(400, cause.message);
  }
}

function json(value: unknown): EstResponse {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
