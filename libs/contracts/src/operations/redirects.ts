import { z } from 'zod';
import { Account, Fingerprint, Pem, Time } from '../identifiers.ts';
import { operation } from '../operation.ts';
import { PageRequest, pageOf } from './paging.ts';

/** Whose devices are sent to another instance: one device, or all that an account claimed. */
export const RedirectSubject = z.union([
  z.object({ fingerprint: Fingerprint }).strict(),
  z.object({ account: Account }).strict(),
]);
export type RedirectSubject = z.infer<typeof RedirectSubject>;

/** Devices that ask here are sent on to `url`. `trustAnchors`: roots of that instance, where they are not ours. */
export const BootstrapRedirect = z.object({
  subject: RedirectSubject,
  url: z.url({ protocol: /^https$/ }).describe('Base URL of the other instance’s bootstrap service'),
  trustAnchors: z.array(Pem).max(8),
  since: Time,
  by: z.string(),
});
export type BootstrapRedirect = z.infer<typeof BootstrapRedirect>;

/**
 * What a device is sent on with, signed by this instance (JWS, `typ` {@link REDIRECT_TYPE}): it follows only to a
 * server that one of these roots vouches for.
 */
export const RedirectStatement = z.object({
  fingerprint: Fingerprint.describe('Of the certificate that asked: it is for no other device'),
  url: z.url(),
  trustAnchors: z.array(Pem),
  iat: z.number().int().describe('Unix seconds'),
  exp: z.number().int().describe('Unix seconds'),
});
export type RedirectStatement = z.infer<typeof RedirectStatement>;

/** `typ` of the JWS of a {@link RedirectStatement}. */
export const REDIRECT_TYPE = 'signet-redirect+jws';

export const setRedirect = operation('bootstrap.set-redirect', {
  input: BootstrapRedirect.pick({ subject: true, url: true, trustAnchors: true }).extend({
    account: Account.describe('Who sets it: the owner or maker of the device, or the account itself'),
    by: z.string(),
  }),
  output: BootstrapRedirect,
  errors: ['unknown-device', 'bad-certificate'],
});

export const listRedirects = operation('bootstrap.list-redirects', {
  idempotent: true,
  input: PageRequest.extend({ account: Account }),
  output: pageOf(BootstrapRedirect),
  errors: [],
});

export const removeRedirect = operation('bootstrap.remove-redirect', {
  input: z.object({ account: Account, subject: RedirectSubject, by: z.string() }),
  output: z.object({}),
  errors: ['unknown-redirect'],
});
