import { randomBytes } from 'node:crypto';
import { hashSecret, newSecret } from '../grant/secret.ts';
import type { Profile } from './profile.ts';

/** Secrets as they are shown, once. */
export type ShownSecrets = { readonly sharedSecret?: string; readonly webhookSecret?: string };

/**
 * The profile with the secrets that it needs and without those that it does not. Those of `before` stay unless `anew`
 * is set.
 */
export function withSecrets(
  profile: Profile,
  before: Profile | undefined,
  anew: boolean,
): { readonly profile: Profile; readonly shown: ShownSecrets } {
  const { sharedSecretHash: _hash, webhookSecret: _secret, ...settings } = profile;
  const kept = anew ? undefined : before;
  const hasSecret = profile.authentication === 'secret' || profile.authentication === 'certificate+secret';
  const sharedSecret =
    hasSecret && kept?.sharedSecretHash === undefined ? { sharedSecret: newSecret() } : undefined;
  const webhookSecret =
    profile.webhook !== undefined && kept?.webhookSecret === undefined
      ? { webhookSecret: newWebhookSecret() }
      : undefined;
  const sharedSecretHash =
    sharedSecret === undefined ? kept?.sharedSecretHash : hashSecret(sharedSecret.sharedSecret);
  const signingKey = webhookSecret?.webhookSecret ?? kept?.webhookSecret;
  return {
    profile: {
      ...settings,
      ...(hasSecret && sharedSecretHash !== undefined ? { sharedSecretHash } : {}),
      ...(profile.webhook !== undefined && signingKey !== undefined ? { webhookSecret: signingKey } : {}),
    },
    shown: { ...sharedSecret, ...webhookSecret },
  };
}

/** Standard Webhooks: `whsec_` and 24 to 64 octets in base64. */
function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
