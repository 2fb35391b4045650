import { z } from 'zod';
import { Account, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';

/** How an account onboards its devices. */
export const AccountSettings = z.object({
  handsOver: z
    .enum(['either', 'idevid', 'ldevid'])
    .describe('Which of a device’s two bootstrap certificates gets the handoff'),
  comesBack: z
    .enum(['unattended', 'after-reset'])
    .describe(
      'A device that has enrolled before and asks again, because its certificate was revoked or lost: it gets a fresh grant, or waits until an operator resets it',
    ),
  mqttCredentials: z.boolean().describe('Whether the bundle has random MQTT credentials'),
  commandCertificate: z
    .boolean()
    .describe('Whether the bundle has the certificate that commands are signed by'),
  certificateInBundle: z
    .boolean()
    .describe('Whether a CSR in the request is answered with the operational certificate'),
  voidedFactoryCaDenies: z
    .boolean()
    .describe('Whether a factory CA that is revoked or disabled shuts out its onboarded devices too'),
  profile: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/)
    .optional()
    .describe('Enrollment profile that devices get in their handoff; absent: `default`'),
  config: z
    .record(z.string().min(1).max(128), z.string().max(4096))
    .refine((config) => Object.keys(config).length <= 64, 'config: at most 64 entries')
    .describe('Settings of the use case, delivered unchanged'),
});
export type AccountSettings = z.infer<typeof AccountSettings>;

const StoredSettings = AccountSettings.extend({
  changedBy: z.string().optional(),
  changedAt: Time.optional(),
});

export const getAccountSettings = operation('bootstrap.account-settings', {
  idempotent: true,
  input: z.object({ account: Account }),
  output: StoredSettings,
  errors: [],
});

/** Changes what is given, and leaves the rest; `profile: null` removes it. A profile must exist when it is set. */
export const setAccountSettings = operation('bootstrap.set-account-settings', {
  input: z.object({
    account: Account,
    settings: AccountSettings.extend({ profile: AccountSettings.shape.profile.nullable() })
      .partial()
      .strict(),
    by: z.string(),
  }),
  output: StoredSettings,
  errors: ['unknown-profile'],
});
