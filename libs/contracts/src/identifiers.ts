import { z } from 'zod';

/** Account (tenant) slug: 1 to 40 characters. */
export const Account = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'account: lower-case letters, digits and "-", at most 40')
  .describe('Account (tenant)');
export type Account = z.infer<typeof Account>;

/** Device id: one token of a NATS subject, an MQTT topic and a SPIFFE path. Unique within an account. */
export const DeviceId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'device id: letters, digits, "_" and "-", at most 64')
  .describe('Id of the device, unique within its account');
export type DeviceId = z.infer<typeof DeviceId>;

/** SHA-256 of a certificate's DER, lower-case hex. */
export const Fingerprint = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'fingerprint: 64 lower-case hex digits')
  .describe('SHA-256 of the certificate’s DER, lower-case hex');
export type Fingerprint = z.infer<typeof Fingerprint>;

/** Certificate serial number, lower-case hex without leading zero bytes (RFC 5280 §4.1.2.2). */
export const SerialNumber = z
  .string()
  .regex(/^([0-9a-f]{2}){1,20}$/, 'serial number: 1 to 20 bytes in lower-case hex')
  .describe('Serial number of the certificate, lower-case hex');
export type SerialNumber = z.infer<typeof SerialNumber>;

/**
 * A device's own serial number, as it stands in its bootstrap certificate: X.520 serialNumber is a PrintableString of at
 * most 64 characters (RFC 5280 appendix A.1).
 */
export const DeviceSerialNumber = z
  .string()
  .regex(
    /^[A-Za-z0-9 '()+,\-./:=?]{1,64}$/,
    "serial number: letters, digits, blanks and any of '()+,-./:=?, at most 64",
  )
  .describe('The device’s own serial number, not the certificate’s');

/** Key identifier (RFC 5280 §4.2.1.2), lower-case hex. */
export const KeyId = z
  .string()
  .regex(/^([0-9a-f]{2}){1,64}$/, 'key identifier: lower-case hex')
  .describe('Subject key identifier, lower-case hex');
export type KeyId = z.infer<typeof KeyId>;

/** PEM text. */
export const Pem = z.string().regex(/^-----BEGIN [A-Z0-9 ]+-----/, 'PEM text');

/** RFC 3339 time in UTC. */
export const Time = z.iso.datetime().describe('RFC 3339 time in UTC');

/** Events of the platform itself, and of peers whose account is not known, carry this account. No tenant may take it. */
export const PLATFORM_ACCOUNT = 'signet';

/** CRL reasons that operators may give (RFC 5280 §5.3.1). */
export const RevocationReason = z.enum([
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
]);
export type RevocationReason = z.infer<typeof RevocationReason>;
