import { DeviceId } from '@signet/contracts';
import {
  checkKey,
  createTemplate,
  decodePem,
  issue,
  NO_END,
  PkiError,
  parseCsr,
  prepare,
  type Template,
  verifyCsr,
} from '@signet/pki';
import type { SigningCa } from './issuer-registry.ts';

export type BootstrapRequest = {
  /** PKCS#10 in PEM. */
  readonly csr: string;
  readonly deviceId?: string | undefined;
  /** The device's own serial number. */
  readonly deviceSerialNumber?: string | undefined;
};

export type BootstrapResult =
  | { readonly certificate: string }
  | { readonly error: { readonly code: string; readonly message: string } };

/**
 * Signs bootstrap certificates of one factory CA; each item stands or falls by itself.
 * @throws PkiError `signer-failed` where the CA's key cannot be used
 */
export async function signBootstrapCertificates(
  authority: SigningCa,
  items: readonly BootstrapRequest[],
  now: number,
): Promise<readonly BootstrapResult[]> {
  const template = createTemplate({ kind: 'bootstrap', issuer: authority.issuer });
  const results: BootstrapResult[] = [];
  for (const item of items) results.push(await signOne(authority, template, item, now));
  return results;
}

/**
 * IEEE 802.1AR §8: Subject with CN = device id and serialNumber = the device's own serial number, and no end, so that
 * a device may lie on a shelf for as long as it takes. The device id is what is given, else the CSR's CN, else the
 * device's serial number.
 */
async function signOne(
  { certificate, signer }: SigningCa,
  template: Template,
  item: BootstrapRequest,
  now: number,
): Promise<BootstrapResult> {
  try {
    const csr = parseCsr(decodePem(item.csr, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
    checkKey(csr.key);
    verifyCsr(csr);
    const deviceId = item.deviceId ?? csr.subject.commonName ?? item.deviceSerialNumber;
    if (deviceId === undefined || !DeviceId.safeParse(deviceId).success)
      return failed(
        'bad-identity',
        `csr: subject CN "${deviceId ?? ''}" is not a device id, and none was given`,
      );
    const serialNumber = item.deviceSerialNumber ?? csr.subject.serialNumber ?? deviceId;
    const linted = prepare(template, {
      subject: { commonName: deviceId, serialNumber },
      spkiDer: csr.spkiDer,
      issuedAt: now,
      notAfter: Math.min(NO_END, certificate.notAfter),
    });
    return { certificate: (await issue(linted, signer)).pem() };
  } catch (error) {
    if (!(error instanceof PkiError) || error.code === 'signer-failed') throw error;
    return failed(error.code, `csr: ${error.message}`);
  }
}

function failed(code: string, message: string): BootstrapResult {
  return { error: { code, message } };
}

const DAY_MS = 86_400_000;

/**
 * Signs a certificate that may register devices and nothing else: its extended key usage says so, and no listener but
 * the bootstrap service takes it. Its CN is that by which Flotta's devices know one; `name` is in its serialNumber.
 * @throws PkiError for a CSR that is no good, `not-issuable` past the CA's end, `signer-failed`
 */
export async function signRegistrationCertificate(
  { issuer, signer }: SigningCa,
  wanted: {
    readonly account: string;
    readonly name: string;
    /** PKCS#10 in PEM. */
    readonly csr: string;
    readonly validityDays: number;
    readonly now: number;
  },
): Promise<string> {
  const csr = parseCsr(decodePem(wanted.csr, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
  checkKey(csr.key);
  verifyCsr(csr);
  const template = createTemplate({ kind: 'registration', issuer });
  const linted = prepare(template, {
    subject: { commonName: 'register', organization: wanted.account, serialNumber: wanted.name },
    spkiDer: csr.spkiDer,
    issuedAt: wanted.now,
    notAfter: wanted.now + wanted.validityDays * DAY_MS,
  });
  return (await issue(linted, signer)).pem();
}
