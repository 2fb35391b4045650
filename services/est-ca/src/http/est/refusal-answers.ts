import type { RefusalCode } from '@signet/contracts';

/** What a device is answered. `challenge`: with `WWW-Authenticate`. `retryAfter`: in seconds. */
export type RefusalAnswer = {
  readonly status: 400 | 401 | 403 | 404 | 413 | 429 | 503;
  readonly challenge?: true;
  readonly retryAfter?: number;
};

const forbidden = { status: 403 } as const;
const badRequest = { status: 400 } as const;
const away = { status: 503, retryAfter: 5 } as const;

/** Every reason for a refusal and its HTTP answer; the text of the answer is the refusal's message. */
export const refusalAnswers = {
  'no-certificate': forbidden,
  'malformed-certificate': forbidden,
  'unknown-issuer': forbidden,
  'bad-signature': forbidden,
  // this clock or the issuer's is wrong: another replica, or a later try, may let it in
  'not-yet-valid': { status: 503, retryAfter: 60 },
  expired: forbidden,
  'issuer-expired': forbidden,
  'issuer-disabled': forbidden,
  'not-a-leaf': forbidden,
  'path-too-long': forbidden,
  'wrong-key-usage': forbidden,
  'wrong-extended-key-usage': forbidden,
  'wrong-purpose': forbidden,
  'bad-identity': forbidden,
  denied: forbidden,
  'denylist-not-loaded': away,
  'denylist-stale': away,
  'unknown-device': forbidden,
  unclaimed: forbidden,
  blocked: forbidden,
  retired: forbidden,
  'wrong-identity': forbidden,
  'waits-for-operator': forbidden,
  redirected: forbidden,
  'no-issuing-ca': away,
  'account-suspended': forbidden,
  'request-closed': forbidden,
  'outside-window': forbidden,
  'already-provisioned': forbidden,
  'unknown-registration-certificate': forbidden,
  'another-key': forbidden,
  'device-id-taken': forbidden,
  'limit-reached': forbidden,
  'request-limit-reached': forbidden,
  'no-credentials': { status: 401, challenge: true },
  'wrong-grant': { status: 401, challenge: true },
  'used-grant': forbidden,
  'expired-grant': forbidden,
  'malformed-request': badRequest,
  'bad-csr-signature': badRequest,
  'weak-key': badRequest,
  'not-certifiable': badRequest,
  'own-ca-out-of-force': away,
  'wrong-subject': forbidden,
  'wrong-san': forbidden,
  'wrong-account': forbidden,
  'unknown-profile': { status: 404 },
  'wrong-profile': forbidden,
  'device-enrolled': forbidden,
  'key-compromised': forbidden,
  revoked: forbidden,
  'too-early': forbidden,
  'third-key': forbidden,
  'wrong-binding': badRequest,
  'missing-attribute': badRequest,
  declined: forbidden,
  'hook-refused': forbidden,
  'no-attestation': forbidden,
  'bad-attestation': badRequest,
  'wrong-nonce': forbidden,
  'not-a-tpm-key': forbidden,
  'unknown-vendor': forbidden,
  'other-tpm': forbidden,
  'wrong-client-id': forbidden,
  'wrong-password': { status: 401, challenge: true },
  'topic-not-allowed': forbidden,
  'packet-too-large': { status: 413 },
  'rate-limited': { status: 429, retryAfter: 30 },
  unavailable: away,
  'internal-error': away,
} as const satisfies Record<RefusalCode, RefusalAnswer>;
