import { DeviceId } from '@signet/contracts';
import { type Csr, checkKey, decodePem, PkiError, type PkiErrorCode, parseCsr, verifyCsr } from '@signet/pki';
import { RegistrationError, type RegistrationErrorCode } from '../refusals/errors.ts';

const csrErrorCodes: Partial<Record<PkiErrorCode, RegistrationErrorCode>> = {
  'weak-key': 'weak-key',
  'unsupported-key': 'weak-key',
  'unsupported-algorithm': 'weak-key',
  'bad-signature': 'bad-csr-signature',
};

/**
 * Reads a PKCS#10 request in PEM and checks that it is signed with a good key, the one that it carries (RFC 2986 §3).
 * @throws RegistrationError `malformed-request`, `weak-key`, `bad-csr-signature`
 */
export function readCsr(pem: string): Csr {
  try {
    const csr = parseCsr(decodePem(pem, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
    checkKey(csr.key);
    verifyCsr(csr);
    return csr;
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    const code = csrErrorCodes[cause.code] ?? 'malformed-request';
    throw new RegistrationError(code, `csr: ${cause.message}`, { field: 'csr', cause });
  }
}

/** The device that a CSR is of: its CN, which `named`, where somebody else names the device, must equal. @throws RegistrationError `wrong-subject`, `bad-identity` */
export function deviceIdOf({ subject }: Pick<Csr, 'subject'>, named: string | undefined): string {
  const { commonName } = subject;
  if (commonName !== undefined && named !== undefined && commonName !== named)
    throw new RegistrationError(
      'wrong-subject',
      `csr: subject CN "${printable(commonName)}" is not "${named}"`,
      {
        field: 'csr',
      },
    );
  const deviceId = named ?? commonName;
  if (!DeviceId.safeParse(deviceId).success)
    throw new RegistrationError(
      'bad-identity',
      `deviceId: "${printable(deviceId ?? '')}" is not a device id`,
      {
        field: 'deviceId',
      },
    );
  return deviceId as string;
}

function printable(text: string): string {
  return text.slice(0, 64).replace(/\p{C}/gu, '?');
}
