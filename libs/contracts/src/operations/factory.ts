import { z } from 'zod';
import { Account, DeviceId, Fingerprint } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { AuthorityDetails, SignedStatement } from './authority.ts';
import { FirstContact } from './est-ca.ts';

/** Which device a fingerprint or a claim code means, whosever it is. Between services: it does not ask who may know. */
export const identifyDevice = operation('bootstrap.identify', {
  idempotent: true,
  input: z.object({ fingerprint: Fingerprint.optional(), code: z.string().max(64).optional() }),
  output: z.object({ fingerprint: Fingerprint, deviceSerialNumber: z.string() }),
  errors: ['unknown-device', 'bad-claim-code', 'ambiguous-code'],
});

const changed = z.object({ authority: AuthorityDetails });

/**
 * Registers the CA of a manufacturer, whose key stays there: bootstrap certificates that it signs are accepted, below
 * whatever root. Whoever registers it proves to have its key by a statement that it signed (action
 * `register-factory`, subject its fingerprint), unless the platform waives that. Several accounts may register one: a
 * device is then of neither until it is claimed. Repeating it changes nothing, but a statement may follow a waiver.
 */
export const registerFactoryAuthority = operation('est-ca.register-factory-authority', {
  input: z.object({
    account: Account,
    certificate: z.string().max(65_536),
    firstContact: FirstContact.default('waits'),
    /** Signed with the key of the CA. */
    statement: SignedStatement.optional(),
    /** Signed with the key of the account's root, where the account keeps that itself. */
    rootStatement: SignedStatement.optional(),
    /** Why no proof of possession is asked for: the platform's to say. */
    waiver: z.string().min(1).max(256).optional(),
    /** Whether whoever asks has a role in every account. */
    byPlatform: z.boolean().optional(),
    by: z.string(),
  }),
  output: changed,
  errors: [
    'bad-certificate',
    'authority-exists',
    'too-many-authorities',
    'platform-only',
    'statement-missing',
    'statement-invalid',
    'statement-expired',
    'statement-used',
  ],
});

/** Changes what happens to devices of a manufacturer's CA that nobody announced. */
export const setFirstContact = operation('est-ca.set-first-contact', {
  input: z.object({
    account: Account,
    authorityId: z.string(),
    firstContact: FirstContact,
    /** Whether whoever asks has a role in every account: `claimed` without proof of possession needs it. */
    byPlatform: z.boolean().optional(),
    by: z.string(),
  }),
  output: changed,
  errors: ['unknown-authority', 'not-a-factory-elsewhere', 'platform-only'],
});

/** A bootstrap certificate that was made elsewhere. */
export const MadeElsewhere = z.object({
  certificate: z.string().max(16_384),
  model: z.string().max(128).optional(),
});

/**
 * Takes up the log of a factory that was offline: certificates of the account's factory CAs, each judged by itself;
 * results come in the order of the items. May be repeated.
 */
export const importFactoryLog = operation('bootstrap.import-factory-log', {
  input: z.object({ account: Account, items: z.array(MadeElsewhere).min(1).max(256), by: z.string() }),
  output: z.object({
    results: z.array(
      z.union([
        z.object({ fingerprint: Fingerprint, deviceId: DeviceId, isNew: z.boolean() }),
        z.object({ error: z.object({ code: z.string(), message: z.string() }) }),
      ]),
    ),
  }),
  errors: [],
});
