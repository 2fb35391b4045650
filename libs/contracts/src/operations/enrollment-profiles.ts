import { z } from 'zod';
import { Account, DeviceId, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { RefusalCode } from '../refusal.ts';

/** Name of a profile within its account; the default one is called `default` and may be left out of the label. */
export const ProfileName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'profile: lower-case letters, digits and "-", at most 40')
  .describe('Name of the profile within its account');

const days = z.number().int().min(1).max(36_500);
const text = z.string().min(1).max(64);

/**
 * What an account issues, to whom, and how. Text of the Subject and DNS names may hold `{device}`, `{account}` and
 * `{profile}`.
 */
export const ProfileSettings = z.object({
  authentication: z
    .enum(['grant', 'certificate', 'secret', 'certificate+grant', 'certificate+secret'])
    .describe(
      'What a first enrolment proves itself by: a grant of the handoff, a certificate of ours, the shared secret of the profile, or two of them',
    ),
  keyKinds: z
    .array(z.enum(['P-256', 'P-384', 'Ed25519', 'RSA']))
    .min(1)
    .describe('Keys that are certified, the preferred one first; `RSA` is of 2048 bits and more'),
  signatureAlgorithms: z
    .array(
      z.enum([
        'ecdsa-with-SHA256',
        'ecdsa-with-SHA384',
        'ecdsa-with-SHA512',
        'Ed25519',
        'sha256WithRSAEncryption',
        'sha384WithRSAEncryption',
        'sha512WithRSAEncryption',
      ]),
    )
    .min(1)
    .optional()
    .describe('Signatures that CSRs may bear; absent: every one that fits the key'),
  validityDays: days.describe('Validity of a first certificate'),
  renewedValidityDays: days.optional().describe('Validity of a renewed certificate; absent: the same'),
  subject: z
    .enum(['fixed', 'keep'])
    .describe("`fixed`: made of the device's identity; `keep`: the CSR's bytes, if they name this device"),
  subjectAttributes: z
    .object({
      country: z.string().length(2).optional(),
      state: text.optional(),
      locality: text.optional(),
      organizationalUnit: text.optional(),
      serialNumber: text.optional(),
    })
    .optional()
    .describe('Template of what a `fixed` Subject has besides CN (the device) and O (the account)'),
  dnsNames: z
    .array(z.string().min(1).max(253))
    .max(32)
    .describe('DNS names that a CSR may ask for; a leading `*.` stands for one label'),
  otherNames: z
    .enum(['leave-out', 'refuse'])
    .describe('What becomes of a CSR that asks for other alternative names'),
  renewalWindowDays: days
    .optional()
    .describe('How long before its end a certificate may be renewed; absent: at any time'),
  expiredGraceDays: z
    .number()
    .int()
    .min(0)
    .max(36_500)
    .describe('How long after its end a certificate may still renew itself'),
  popLinking: z
    .boolean()
    .describe('Whether a CSR must bear the channel binding of its connection (RFC 7030 §3.5)'),
  approval: z
    .enum(['none', 'first', 'every'])
    .describe('What waits for an operator (202): nothing, first certificates, or renewals as well'),
  attestation: z
    .enum(['none', 'tpm'])
    .describe('`tpm`: only keys are certified that a TPM of a trusted vendor says it holds'),
  responseWrapping: z
    .enum(['auto', 'wrapped', 'unwrapped'])
    .describe('Line breaks of base64 answers; `auto` leaves them out where a request has no User-Agent'),
  serverKeygen: z.boolean().describe('Whether keys are made for devices that cannot (RFC 7030 §4.4)'),
  csrAttributes: z
    .enum(['list', 'template'])
    .describe('Form of the CSR attributes: the list of RFC 7030 §4.5, or the template of RFC 9908 §3.4'),
  requiredExtensions: z
    .array(z.enum(['keyUsage', 'extKeyUsage']))
    .describe('Extensions that a CSR must ask for, as the certificate will have them'),
  requiredAttributes: z
    .array(z.string().regex(/^[0-2](\.(0|[1-9][0-9]{0,14})){1,32}$/, 'an OID in dotted form'))
    .max(32)
    .describe('OIDs of attributes that a CSR must have'),
  webhook: z
    .object({ url: z.url({ protocol: /^https?$/ }) })
    .optional()
    .describe("The owner's back end: asked before each certificate, and its answer obeyed"),
});
export type ProfileSettings = z.infer<typeof ProfileSettings>;

const optional = ProfileSettings.pick({
  signatureAlgorithms: true,
  renewedValidityDays: true,
  subjectAttributes: true,
  renewalWindowDays: true,
  webhook: true,
}).shape;

/** Some settings; `null` takes away one that may be absent. */
export const ProfileChanges = ProfileSettings.extend({
  signatureAlgorithms: optional.signatureAlgorithms.nullable(),
  renewedValidityDays: optional.renewedValidityDays.nullable(),
  subjectAttributes: optional.subjectAttributes.nullable(),
  renewalWindowDays: optional.renewalWindowDays.nullable(),
  webhook: optional.webhook.nullable(),
})
  .partial()
  .strict();
export type ProfileChanges = z.infer<typeof ProfileChanges>;

/** An enrollment profile as operators see it: never its secrets. */
export const EnrollmentProfile = ProfileSettings.extend({
  label: z.string().describe('EST path label: `<account>` or `<account>.<profile>`'),
  account: Account,
  name: ProfileName,
  stored: z.boolean().describe('False for the default profile that every account has without making it'),
});
export type EnrollmentProfile = z.infer<typeof EnrollmentProfile>;

/** A profile just made or changed, and secrets that are shown this once. */
const withSecrets = z.object({
  profile: EnrollmentProfile,
  sharedSecret: z.string().optional().describe('Password of HTTP Basic, shown once'),
  webhookSecret: z
    .string()
    .optional()
    .describe('Key that calls of the webhook are signed with (Standard Webhooks), shown once'),
});

const named = z.object({ account: Account, name: ProfileName });

export const listProfiles = operation('est-ca.list-profiles', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: z.object({ items: z.array(EnrollmentProfile) }),
  errors: [],
});

/** Settings that are not given are those of the default profile. */
export const createProfile = operation('est-ca.create-profile', {
  input: named.extend({ settings: ProfileChanges, by: z.string() }),
  output: withSecrets,
  errors: ['profile-exists', 'invalid-profile'],
});

/** `newSecrets`: what is signed or enrolled with the old ones is refused from now on. */
export const changeProfile = operation('est-ca.change-profile', {
  input: named.extend({
    settings: ProfileChanges,
    newSecrets: z.boolean().default(false),
    by: z.string(),
  }),
  output: withSecrets,
  errors: ['unknown-profile', 'invalid-profile'],
});

/**
 * Certificates that it issued stay; they renew under the default profile. A profile that something names is not removed:
 * the account's settings, devices that were moved to it, rules of attestation.
 */
export const removeProfile = operation('est-ca.remove-profile', {
  input: named.extend({ by: z.string() }),
  output: z.object({ removed: z.string().describe('Label of the profile') }),
  errors: ['unknown-profile', 'profile-in-use'],
});

/** An operator's word on the profile of a device. */
export const DeviceProfileMove = z.object({
  profile: z.string().describe('Label of the profile'),
  movedAt: Time,
  movedBy: z.string(),
});
export type DeviceProfileMove = z.infer<typeof DeviceProfileMove>;

/**
 * Moves a device to another profile: its next renewal is made under that one, at whichever label it renewed until then.
 * It holds until the device is reset, given up or retired. Repeating it changes nothing.
 */
export const setDeviceProfile = operation('est-ca.set-device-profile', {
  input: z.object({ account: Account, deviceId: DeviceId, profile: ProfileName, by: z.string() }),
  output: z.object({ account: Account, deviceId: DeviceId, ...DeviceProfileMove.shape }),
  errors: ['unknown-profile', 'unknown-device'],
});

/** Where an operator moved a device, as long as that holds. */
export const getDeviceProfile = operation('est-ca.get-device-profile', {
  idempotent: true,
  input: z.object({ account: Account, deviceId: DeviceId }),
  output: z.object({ move: DeviceProfileMove.optional() }),
  errors: [],
});

/** What a profile would make of a CSR. Nothing is signed, stored or asked of anybody. */
export const dryRunProfile = operation('est-ca.dry-run-profile', {
  input: named.extend({
    settings: ProfileChanges.optional().describe('Tried in place of what is stored'),
    deviceId: DeviceId,
    csr: z.string().max(65_536).describe('PKCS#10 in PEM'),
  }),
  output: z.object({
    profile: EnrollmentProfile,
    csrAttributes: z.string().describe('What `csrattrs` answers, base64 of DER'),
    refusals: z.array(z.object({ code: RefusalCode, message: z.string() })),
    certificate: z
      .object({
        subject: z.record(z.string(), z.string()),
        subjectAltNames: z.array(z.string()),
        keyType: z.string(),
        authorityId: z.string(),
        notAfter: Time,
      })
      .optional()
      .describe('What would be issued; absent where it is refused'),
    approval: z.boolean().describe('Whether an operator would have to approve it'),
    webhook: z.string().optional().describe('Who would be asked'),
  }),
  errors: ['unknown-profile', 'invalid-profile'],
});
