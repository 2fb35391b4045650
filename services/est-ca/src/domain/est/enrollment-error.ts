import type { RefusalCode } from '@signet/contracts';

/** Whose enrolment is refused, where that was proven: by a certificate of ours, or by the secret of a grant. */
export type ProvenDevice = { readonly account: string; readonly deviceId: string };

/**
 * An enrolment that is refused. `message` names the field and the reason; it is what the device is told
 * and what operators read.
 */
export class EnrollmentError extends Error {
  override readonly name = 'EnrollmentError';
  readonly code: RefusalCode;
  readonly device: ProvenDevice | undefined;

  constructor(
    code: RefusalCode,
    message: string,
    options?: { cause?: unknown; device?: ProvenDevice | undefined },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.device = options?.device;
  }
}

/**
 * Runs one enrolment. Its steps tell `proven` whose it is once a certificate or a secret has shown that; from then on
 * a refusal names the device.
 */
export async function namingDevice<T>(
  steps: (proven: (device: ProvenDevice) => void) => Promise<T>,
): Promise<T> {
  let whose: ProvenDevice | undefined;
  const proven = ({ account, deviceId }: ProvenDevice): void => {
    whose = { account, deviceId };
  };
  try {
    return await steps(proven);
  } catch (error) {
    if (!(error instanceof EnrollmentError) || error.device !== undefined || whose === undefined) throw error;
    throw new EnrollmentError(error.code, error.message, { cause: error.cause, device: whose });
  }
}
