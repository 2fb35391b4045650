import type { Credential, TpmStatement } from '@signet/attestation';
import { z } from 'zod';
import { AgentError } from '../agent-error.ts';
import type { KeyHolder } from './key-holder.ts';

const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const ChallengeAnswer = z.object({ credentialBlob: bytes, encryptedSecret: bytes });

/** What came of asking the TPM for its word: the statement, or why there is none. */
export type Attestation = { readonly statement?: TpmStatement; readonly reason?: string };

/**
 * Has the holder of a key say that it holds it, in answer to a server's challenge. A server that gives none, since the
 * account trusts no maker of TPMs or its profile does not ask, is no hindrance: it may enrol the key anyway.
 * @throws AgentError `unreachable`, `key-holder`
 */
export async function attested(
  holder: KeyHolder | undefined,
  key: string,
  post: (body: string) => Promise<{ readonly status: number; readonly body: Buffer }>,
): Promise<Attestation> {
  if (holder?.attest === undefined) return {};
  try {
    const statement = await holder.attest(key, async ({ attestationKey, certificates }) => {
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
      const answer = await post(
        JSON.stringify({
          attestationKey: base64(attestationKey),
          certificates: certificates.map(base64),
        }),
      );
      return credentialIn(answer);
    });
    return statement === undefined
      ? { reason: 'the TPM has no certificate of its endorsement key' }
      : { statement };
  } catch (error) {
    if (error instanceof AgentError && error.code === 'refused' && !error.isPassing)
      return { reason: error.message };
    throw error;
  }
}

function credentialIn({ status, body }: { readonly status: number; readonly body: Buffer }): Credential {
  const text = body.toString('utf8');
  if (status !== 200)
    throw new AgentError('refused', `attestation: ${status} ${text.slice(0, 512).trim()}`, { status });
  try {
    return ChallengeAnswer.parse(JSON.parse(text));
  } catch (cause) {
    throw new AgentError('bad-answer', 'attestation: no challenge in the answer', { cause });
  }
}
