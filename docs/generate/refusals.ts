import { RefusalCode } from '@signet/contracts';
import { code, type Generator, page, table } from './document.ts';

const introduction = `Why a device was refused. The code stands in the log, in the event (\`BOOTSTRAP_REFUSED\`,
\`ENROLLMENT_REFUSED\`, \`DEVICE_REFUSED\`) and in what operators see of the device; the device is told only what the error
table of its protocol allows.`;

/** Every refusal code has its line here: the compiler demands it. */
const meanings = {
  'no-certificate': 'It showed no certificate in the TLS handshake.',
  'malformed-certificate': 'What it showed cannot be read as a certificate.',
  'unknown-issuer': 'No CA that this listener trusts has the issuer name and key id of the certificate.',
  'bad-signature': 'The certificate names a trusted CA that did not sign it.',
  'not-yet-valid': 'Its validity has not begun.',
  expired: 'Its validity is over.',
  'issuer-expired': 'The validity of its CA, or of a CA above, is over.',
  'issuer-disabled': 'Its CA was disabled or revoked.',
  'not-a-leaf': 'It is a CA certificate, not that of a device.',
  'path-too-long': 'The chain is longer than a CA in it allows.',
  'wrong-key-usage': 'Its key usage, or that of a CA above, does not allow this.',
  'wrong-extended-key-usage': 'It is not for client authentication.',
  'wrong-purpose':
    'It is of a kind that this listener does not take: bootstrap for operational, or the other way about.',
  'bad-identity': 'Its names do not make one device of one account.',
  denied: 'The certificate, its key, its device or its CA is on the deny list.',
  'denylist-not-loaded': 'This replica has no deny list yet, and admits nobody without one.',
  'denylist-stale': 'This replica has heard nothing of the deny list for longer than allowed.',
  'unknown-device': 'No factory record has this fingerprint.',
  unclaimed: 'No account has claimed the fingerprint.',
  blocked: 'An operator blocked the device.',
  retired: 'The device was retired for good.',
  'wrong-identity': 'It has two bootstrap certificates, and its account hands over to the other one.',
  'waits-for-operator':
    'It has enrolled before and asks for a new hand-over, which its account gives only after a reset.',
  'no-issuing-ca':
    'Its account has no issuing CA in force that could certify it: the account’s configuration is at fault, not the device.',
  'account-suspended':
    'Its account is suspended: nothing is claimed, handed over or enrolled until it is resumed.',
  redirected: 'Another instance hands it over; this road cannot send it there.',
  'request-closed': 'Its provisioning request is completed, failed, abandoned or stopped.',
  'outside-window': 'The window of its provisioning request has not begun, or is over.',
  'already-provisioned': 'It is enrolled already, and its provisioning request does not say overwrite.',
  'unknown-registration-certificate':
    'The registration certificate was not issued by this platform, or it was revoked.',
  'another-key': 'The registration of this device was asked for, or got, with another key.',
  'device-id-taken': 'The account has a device with this id, which did not come by this registration.',
  'limit-reached':
    'As many devices as it may register were registered with the registration certificate; or a device has as many QoS 2 messages open as it may.',
  'request-limit-reached': 'As many requests of the registration certificate as may wait are waiting.',
  'no-credentials': 'It came with neither a certificate nor a grant that would let it enrol.',
  'wrong-grant': 'The grant is not the live one of this device.',
  'used-grant': 'The grant was used, with another key.',
  'expired-grant': 'The grant has expired.',
  'malformed-request': 'The request cannot be read.',
  'bad-csr-signature': 'The CSR is not signed by the key that it names.',
  'weak-key': 'The key is of a kind or size that the profile does not allow.',
  'wrong-subject': 'The CSR’s Subject is not that of the device.',
  'wrong-san': 'The CSR asks for subject alternative names that are not those of the device.',
  'wrong-account': 'The request is for another account than the device’s.',
  'unknown-profile': 'No enrollment profile has this label.',
  'wrong-profile':
    'It asks under another enrollment profile than its certificate’s, and no operator moved it there (`signet devices set-profile`).',
  'device-enrolled':
    'It asks for a first certificate, and the device has one in force: that one is renewed, or the device is reset.',
  'key-compromised':
    'A certificate of the device was revoked for keyCompromise: neither its key nor a shared secret enrols it any more.',
  'too-early': 'It renews before the time that its profile sets.',
  revoked: 'The certificate that it renews was revoked.',
  'third-key': 'A rotation is under way, and this is neither its old key nor its new one.',
  'wrong-binding': 'The CSR does not bear the channel binding of the connection that it came on.',
  'missing-attribute': 'The CSR lacks an attribute or an extension that its profile requires.',
  declined: 'An operator declined the request.',
  'own-ca-out-of-force':
    'Each issuing CA of its account is out of force, and no operator let the platform’s issue in its place (`signet ca fall-back`).',
  'not-certifiable':
    'The certificate that the CSR asks for would break a rule of certificates, which the message cites.',
  'hook-refused': 'The back end that the profile asks said no.',
  'no-attestation': 'Its profile wants the key proven to live in a TPM, and no proof came.',
  'bad-attestation': 'What came as the statement of a TPM cannot be read, or is not signed by one.',
  'wrong-nonce':
    'The statement of its TPM answers a nonce that is not this device’s, is too old, or was used.',
  'not-a-tpm-key':
    'The statement is about another key, or about one that its TPM did not make or may give away.',
  'unknown-vendor': 'No CA of a maker of TPMs that the account trusts vouches for its TPM.',
  'other-tpm':
    'Another TPM than the first one of the device vouches for the key; once the device is reset, another may.',
  'wrong-client-id': 'The MQTT client id is not the device id of the certificate.',
  'wrong-password': 'The username or the password is wrong.',
  'topic-not-allowed': 'The topic belongs to another device, another account, or nobody.',
  'packet-too-large': 'A packet was larger than the listener takes.',
  'rate-limited': 'It came more often than allowed.',
  unavailable: 'Something that the decision needs is away; the listener fails closed.',
  'internal-error':
    'The platform itself failed; the device did nothing wrong, and its log tells what it was.',
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
