import { z } from 'zod';
import { Account, DeviceId, Fingerprint, Pem, SerialNumber, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** A certificate that may ask for the registration of devices, and do nothing else. Its id is its fingerprint. */
export const RegistrationCertificate = z.object({
  certificateId: Fingerprint,
  account: Account,
  name: z.string().min(1).max(64).describe('Name within its account'),
  serialNumber: SerialNumber,
  deviceId: DeviceId.optional().describe('The one device that it may register; absent: any'),
  limit: z.number().int().min(1).optional().describe('How many devices may be registered with it'),
  maxWaiting: z.number().int().min(1).describe('How many of its requests may wait for an operator at a time'),
  notBefore: Time,
  notAfter: Time,
  createdAt: Time,
  createdBy: z.string(),
  revokedAt: Time.optional(),
  revokedBy: z.string().optional(),
});
export type RegistrationCertificate = z.infer<typeof RegistrationCertificate>;

/** Makes one for a CSR: its key stays where it was made, in an image's build or in a device's TPM. */
export const createRegistrationCertificate = operation('bootstrap.create-registration-certificate', {
  input: RegistrationCertificate.pick({ account: true, name: true, deviceId: true, limit: true }).extend({
    csr: z.string().max(65_536).describe('PKCS#10 in PEM'),
    validityDays: z.number().int().min(1).max(3650).default(365),
    maxWaiting: z.number().int().min(1).max(100_000).default(1000),
    by: z.string(),
  }),
  output: z.object({
    registration: RegistrationCertificate,
    certificate: Pem,
    chain: z.array(Pem).describe('Its issuers, the factory CA first, the root last'),
    trustAnchors: z.array(Pem).describe('Roots that the servers are known by'),
  }),
  errors: ['no-factory-ca', 'bad-csr', 'registration-certificate-exists'],
});

export const listRegistrationCertificates = operation('bootstrap.list-registration-certificates', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(RegistrationCertificate),
  errors: [],
});

/** From now on it registers nothing; what was registered with it stays. Repeating it changes nothing. */
export const revokeRegistrationCertificate = operation('bootstrap.revoke-registration-certificate', {
  input: z.object({ account: Account, name: RegistrationCertificate.shape.name, by: z.string() }),
  output: RegistrationCertificate,
  errors: ['unknown-registration-certificate'],
});

/** `waiting` for an operator until it expires; `approved` until its device comes for it; then `issued`. */
export const RegistrationState = z.enum(['waiting', 'approved', 'issued', 'declined', 'expired']);
export type RegistrationState = z.infer<typeof RegistrationState>;

/** A device that asked to be registered. */
export const RegistrationRequest = z.object({
  requestId: z.string(),
  account: Account,
  deviceId: DeviceId,
  protocol: z.enum(['signet', 'flotta']).describe('How it asked'),
  registrationCertificate: z.string().describe('Name of the registration certificate that it asked with'),
  publicKeyHash: Fingerprint.optional().describe(
    'SHA-256 of the SubjectPublicKeyInfo of its CSR; absent where its protocol sends none before approval',
  ),
  keyType: z.string().optional(),
  details: z
    .record(z.string(), z.string())
    .describe('What the device said of itself: nothing of it is proven'),
  group: z.string().optional().describe('Group that it asked to be put in'),
  address: z.string().optional().describe('Network address that it asked from'),
  state: RegistrationState,
  askedAt: Time,
  expiresAt: Time.describe('When it stops waiting'),
  decidedAt: Time.optional(),
  decidedBy: z.string().optional(),
  reason: z.string().optional().describe('Why it was declined'),
});
export type RegistrationRequest = z.infer<typeof RegistrationRequest>;

export const listRegistrations = operation('bootstrap.list-registrations', {
  idempotent: true,
  input: PageRequest.extend({ account: Account, state: RegistrationState.optional() }),
  output: pageOf(RegistrationRequest),
  errors: [],
});

const one = z.object({ account: Account, requestId: z.string(), by: z.string() });

/** The device gets its certificate when it asks again. Approving twice changes nothing. */
export const approveRegistration = operation('bootstrap.approve-registration', {
  input: one,
  output: RegistrationRequest,
  errors: ['unknown-request', 'request-decided', 'request-expired', 'device-id-taken', 'limit-reached'],
});

/** The device is refused from now on, with this reason. Declining twice changes nothing. */
export const declineRegistration = operation('bootstrap.decline-registration', {
  input: one.extend({ reason: z.string().min(1).max(256) }),
  output: RegistrationRequest,
  errors: ['unknown-request', 'request-decided', 'request-expired'],
});

/** Signs a registration certificate with the account's factory CA, or the platform's. */
export const signRegistration = operation('est-ca.sign-registration', {
  input: z.object({
    account: Account,
    name: RegistrationCertificate.shape.name,
    csr: z.string(),
    validityDays: z.number().int().min(1),
  }),
  output: z.object({ certificate: Pem, chain: z.array(Pem) }),
  errors: ['no-factory-ca', 'bad-csr'],
});

/**
 * Gives a device of the bootstrap service its operational certificate without EST: what a registration road that has no
 * place for a grant ends with. `serialNumber`, 128 random bits, is the certificate's: whoever asks again with it and
 * the same key gets the same certificate. The bootstrap service vouches for account and device.
 */
export const certifyDevice = operation('est-ca.certify-device', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    csr: z.string().max(65_536).describe('PKCS#10 in PEM'),
    serialNumber: SerialNumber,
    profile: z.string().optional().describe('Name of the enrollment profile; default: `default`'),
    organizationalUnit: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('OU of the Subject, over the profile’s'),
    identity: Fingerprint.optional().describe(
      'Of the bootstrap certificate that the registration gave the device',
    ),
    resetAt: Time.optional().describe(
      'When the device was reset: it takes the place of what it had until then',
    ),
  }),
  output: z.object({
    certificate: Pem,
    chain: z.array(Pem).describe('Its issuers, the issuing CA first, the root last'),
    trustAnchors: z.array(Pem),
    notAfter: Time,
  }),
  errors: ['unknown-profile', 'bad-csr', 'revoked', 'refused'],
});

/** Renews a device's operational certificate, an expired one where policy allows it; Subject and names stay. */
export const renewDevice = operation('est-ca.renew-device', {
  input: z.object({
    account: Account,
    deviceId: DeviceId,
    fingerprint: Fingerprint.describe('Of the certificate that the device showed'),
    serialNumber: SerialNumber.describe('Of the same certificate'),
    csr: z.string().max(65_536),
  }),
  output: certifyDevice.output,
  errors: ['bad-csr', 'revoked', 'refused'],
});

/** Whether an API token may do something in an account. Between services: it is not served to operators. */
export const authorizeToken = operation('admin-api.authorize-token', {
  input: z.object({
    token: z.string().max(256),
    permission: z.literal('devices:register'),
    account: Account,
  }),
  output: z.object({
    name: z.string().describe('Name of the token'),
    hasBudget: z.boolean().describe('Whether what it registers has to be counted first'),
  }),
  errors: ['unauthenticated', 'forbidden'],
});

/** Counts a device against the budget of the token that registers it. The same device counts once. */
export const spendTokenBudget = operation('admin-api.spend-token-budget', {
  input: z.object({ token: z.string().max(256), account: Account, deviceId: DeviceId }),
  output: z.object({
    use: z.string().optional().describe('To be given back where nothing came of it, if this call took it'),
  }),
  errors: ['unauthenticated', 'budget-exhausted', 'budget-over', 'serial-not-in-budget'],
});

/** Gives back what was counted for a device that was refused for good. */
export const returnTokenBudget = operation('admin-api.return-token-budget', {
  input: z.object({ token: z.string().max(256), use: z.string().max(256) }),
  output: z.object({}),
  errors: ['unauthenticated'],
});
