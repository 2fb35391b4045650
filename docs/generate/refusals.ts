import { RefusalCode } from '@signet/contracts';
import { code, type Generator, page, table } from './document.ts';

const introduction = `Why a device was refused. The code is in the log, in the event (\`BOOTSTRAP_REFUSED\`,
\`ENROLLMENT_REFUSED\`, \`DEVICE_REFUSED\`) and in what operators see of the device; the device is told only what the error
table of its protocol allows.`;

/** Every refusal code has its line here: the compiler demands it. */
const meanings = {
  'no-certificate': 'The device showed no certificate in the TLS handshake.',
  'malformed-certificate': 'The certificate cannot be parsed.',
  'unknown-issuer': 'No CA that this listener trusts has the issuer name and key id of the certificate.',
  'bad-signature': 'The certificate names a trusted CA that did not sign it.',
  'not-yet-valid': 'The certificate is not valid yet (notBefore).',
  expired: 'The certificate has expired (notAfter).',
  'issuer-expired': 'The CA of the certificate, or a CA above it, has expired.',
  'issuer-disabled': 'The CA of the certificate is disabled or revoked.',
  'not-a-leaf': 'The certificate is a CA certificate, not that of a device.',
  'path-too-long': 'The chain is longer than a pathLenConstraint in it allows.',
  'wrong-key-usage': 'The key usage of the certificate, or of a CA above it, does not allow this.',
  'wrong-extended-key-usage': 'The certificate is not for client authentication.',
  'wrong-purpose':
    'The certificate is of a kind that this listener does not accept: a bootstrap certificate where an operational one is needed, or the reverse.',
  'bad-identity': 'The names in the certificate do not identify one device of one account.',
  denied: 'The certificate, its key, its device or its CA is on the deny list.',
  'denylist-not-loaded': 'This replica has not loaded its deny list yet, and admits nobody without one.',
  'denylist-stale': 'This replica has had no update of the deny list for longer than allowed.',
  'unknown-device': 'No factory record has this fingerprint.',
  unclaimed: 'No account has claimed the fingerprint.',
  blocked: 'An operator blocked the device.',
  retired: 'The device was retired, which cannot be undone.',
  'wrong-identity': 'The device has two bootstrap certificates, and its account accepts the other one.',
  'waits-for-operator':
    'The device has enrolled before and asks for a new handoff; its account allows that after a reset only.',
  'no-issuing-ca':
    'The account has no issuing CA in force that could certify the device. The account’s configuration is at fault, not the device.',
  'account-suspended':
    'The account is suspended: until it is resumed nothing is claimed, handed out or enrolled.',
  redirected: 'The device belongs to another instance, and this protocol cannot redirect it.',
  'request-closed': 'The provisioning request is completed, failed, abandoned or stopped.',
  'outside-window': 'The time window of the provisioning request has not begun, or has ended.',
  'already-provisioned':
    'The device is enrolled already, and its provisioning request does not say overwrite.',
  'unknown-registration-certificate':
    'The registration certificate was not issued by this platform, or was revoked.',
  'another-key': 'The registration of this device was requested, or granted, for another key.',
  'device-id-taken': 'The account has a device with this id that did not come by this registration.',
  'limit-reached':
    'The registration certificate has registered as many devices as it may; or the device has as many QoS 2 messages open as it may.',
  'request-limit-reached': 'As many requests of the registration certificate as may wait are waiting.',
  'no-credentials': 'The device showed neither a certificate nor a grant that would let it enrol.',
  'wrong-grant': 'The grant is not the current one of this device.',
  'used-grant': 'The grant was already used with another key.',
  'expired-grant': 'The grant has expired.',
  'malformed-request': 'The request cannot be parsed.',
  'bad-csr-signature': 'The CSR is not signed by the key in it.',
  'weak-key': 'The profile does not allow this kind or size of key.',
  'wrong-subject': 'The CSR’s Subject is not that of the device.',
  'wrong-san': 'The CSR asks for subject alternative names that are not the device’s.',
  'wrong-account': 'The request names another account than the device’s.',
  'unknown-profile': 'No enrollment profile has this label.',
  'wrong-profile':
    'The request names another enrollment profile than the certificate’s, and no operator moved the device to it (`signet devices set-profile`).',
  'device-enrolled':
    'The request is for a first certificate, and the device has one in force. Renew that one, or reset the device.',
  'key-compromised':
    'A certificate of the device was revoked for keyCompromise: neither its key nor a shared secret enrols it any more.',
  'too-early': 'The renewal came before the time that the profile sets.',
  revoked: 'The certificate to be renewed was revoked.',
  'third-key': 'A rotation is in progress, and this key is neither the old one nor the new one.',
  'wrong-binding': 'The CSR does not carry the channel binding of its connection (RFC 7030 §3.5).',
  'missing-attribute': 'The CSR lacks an attribute or an extension that the profile requires.',
  declined: 'An operator declined the request.',
  'own-ca-out-of-force':
    'Every issuing CA of the account is out of force, and no operator allowed the platform’s CA to issue instead (`signet ca fall-back`).',
  'not-certifiable':
    'The requested certificate would break a rule for certificates, which the message cites.',
  'hook-refused': 'The back end that the profile asks refused.',
  'no-attestation': 'The profile requires proof that the key lives in a TPM, and no proof came.',
  'bad-attestation': 'The TPM statement cannot be parsed, or no TPM signed it.',
  'wrong-nonce': 'The TPM statement answers a nonce that is not this device’s, has expired, or was used.',
  'not-a-tpm-key':
    'The TPM statement is about another key, or about a key that the TPM did not make or may export.',
  'unknown-vendor': 'No TPM manufacturer’s CA that the account trusts vouches for this TPM.',
  'other-tpm':
    'Another TPM than the device’s first one vouches for the key. Reset the device to accept another.',
  'wrong-client-id': 'The MQTT client id is not the device id in the certificate.',
  'wrong-password': 'The user name or the password is wrong.',
  'topic-not-allowed': 'The topic belongs to another device or account, or to nobody.',
  'packet-too-large': 'A packet is larger than the listener accepts.',
  'rate-limited': 'The device came more often than allowed.',
  unavailable: 'A backend that the decision needs is unavailable; the listener fails closed. Retry later.',
  'internal-error': 'The platform itself failed, through no fault of the device. Its log has the error.',
} as const satisfies Record<RefusalCode, string>;

/** The table of refusal codes. */
export const refusals: Generator = {
  file: 'refusals.md',
  generate: () =>
    page('Refusals', introduction, [
      table(
        ['code', 'meaning'],
        RefusalCode.options.map((name) => [code(name), meanings[name]]),
      ),
    ]),
};
