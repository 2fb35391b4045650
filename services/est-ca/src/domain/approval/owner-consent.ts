import { BACKDATED_MS, encodePem, type SubjectAltNames } from '@signet/pki';
import type { Reservation } from '../certificate/reservation.ts';
import { EnrollmentError } from '../est/enrollment-error.ts';
import type { Profile } from '../profile/profile.ts';

/** Where an owner's back end is, and what calls of it are signed with. */
export type Webhook = { readonly url: string; readonly secret: string };

/** A call of the webhook: `id` is the same for every attempt at one certificate. */
export type WebhookCall = {
  readonly id: string;
  readonly type: 'enrollment.asked';
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** What the back end says. */
export type Consent = { readonly allow: true } | { readonly allow: false; readonly reason: string };

/** Asks the back end. Rejects for whatever is neither yes nor no: silence, errors, redirects, private addresses. */
export type AskWebhook = (hook: Webhook, call: WebhookCall) => Promise<Consent>;

/** The certificate that is about to be signed, and the CSR that asked for it. */
export type AboutToSign = {
  readonly account: string;
  readonly deviceId: string;
  readonly profile: Profile;
  readonly csr: Uint8Array;
  readonly subject: Readonly<Record<string, string | undefined>>;
  readonly subjectAltNames: SubjectAltNames;
  readonly spkiDer: Uint8Array;
  readonly keyType: string;
  readonly reservation: Reservation;
  readonly renews?: string | undefined;
  /** Of the certificate that the device showed. */
  readonly fingerprint?: string | undefined;
};

/**
 * F52: asks the owner's back end, where the profile names one, before anything is signed.
 * @throws EnrollmentError `hook-refused` where it says no, `unavailable` where it says nothing that can be understood
 */
export async function requireConsent(ask: AskWebhook, about: AboutToSign, now: number): Promise<void> {
  const { webhook, webhookSecret } = about.profile;
  if (webhook === undefined) return;
  if (webhookSecret === undefined) throw new EnrollmentError('unavailable', 'webhook: its key is missing');
  const answer = await ask({ url: webhook.url, secret: webhookSecret }, callFor(about, now)).catch(
    (cause: unknown) => {
      throw new EnrollmentError(
        'unavailable',
        "webhook: the owner's back end did not decide; try again later",
        {
          cause,
        },
      );
    },
  );
  if (!answer.allow) throw new EnrollmentError('hook-refused', `webhook: refused: ${answer.reason}`);
}

function callFor(about: AboutToSign, now: number): WebhookCall {
  const { reservation, profile, csr, spkiDer, renews, fingerprint } = about;
  return {
    id: `enrollment_${reservation.serialNumber}`,
    type: 'enrollment.asked',
    timestamp: new Date(now).toISOString(),
    data: {
      account: about.account,
      deviceId: about.deviceId,
      profile: profile.id,
      renewal: renews !== undefined,
      ...(renews === undefined ? {} : { previousSerialNumber: renews }),
      ...(fingerprint === undefined ? {} : { shownCertificate: fingerprint }),
      csr: encodePem('CERTIFICATE REQUEST', csr),
      certificate: {
        serialNumber: reservation.serialNumber,
        subject: about.subject,
        subjectAltNames: about.subjectAltNames,
        publicKey: encodePem('PUBLIC KEY', spkiDer),
        publicKeyHash: reservation.publicKeyHash,
        keyType: about.keyType,
        notBefore: wholeSecond(Date.parse(reservation.issuedAt) - BACKDATED_MS),
        notAfter: wholeSecond(Date.parse(reservation.notAfter)),
        authorityId: reservation.authorityId,
      },
    },
  };
}

/** As the certificate will have it. */
function wholeSecond(time: number): string {
  return new Date(Math.floor(time / 1000) * 1000).toISOString();
}
