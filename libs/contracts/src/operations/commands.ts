import { z } from 'zod';
import { Account, DeviceId, Fingerprint, Pem } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { RefusalCode } from '../refusal.ts';

/** `typ` of the JWS of a command. */
export const COMMAND_TYPE = 'signet-command+jws';

const statementTypes = z.enum(['signet-command+jws', 'signet-redirect+jws', 'signet-artifact+jws']);

/**
 * The certificate by which an account’s commands are signed; the key is made when it is first asked for. Subject
 * `CN=commands, O=<account>`, SAN `spiffe://<trust domain>/<account>/commands`, extended key usage documentSigning
 * (RFC 9336): no listener admits it.
 */
export const commandCertificate = operation('est-ca.command-certificate', {
  input: z.object({ account: Account }),
  output: z.object({ certificate: Pem, chain: z.array(Pem).describe('Its issuers, the root last') }),
  errors: ['no-issuing-ca'],
});

/**
 * Signs a statement of an account with its command key: a compact JWS (RFC 7515) whose header has `alg`, `typ` and the
 * chain without its root in `x5c`. The payload is signed as it is.
 */
export const signStatement = operation('est-ca.sign-statement', {
  input: z.object({
    account: Account,
    type: statementTypes.describe('`typ` of the JWS: what is signed as one is never taken for the other'),
    payload: z.string().max(262_144).describe('Base64url of the bytes'),
  }),
  output: z.object({ jws: z.string() }),
  errors: ['no-issuing-ca'],
});

/**
 * Enrols a device with the CSR of its bootstrap request, as its grant would (RFC 7030 §4.2.1): `refusal` says why not,
 * where the profile does not allow it or the CSR is none. The same key asked for again gets the same certificate.
 */
export const enrollHandedOver = operation('est-ca.enroll-handed-over', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    fingerprint: Fingerprint,
    username: z.string(),
    grant: z.string(),
    csr: z.string().max(65_536).describe('PKCS#10, PEM or base64 of DER'),
  }),
  output: z.union([
    z.object({ certificate: Pem }),
    z.object({ refusal: z.object({ code: RefusalCode, message: z.string() }) }),
    z.object({
      pending: z.literal(true).describe('An operator must approve it: the device enrols over EST'),
    }),
  ]),
  errors: [],
});
