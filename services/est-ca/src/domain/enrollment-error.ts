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

/** Runs steps of a device that is proven; a refusal in them says whose it is. */
export async function onBehalfOf<T>(device: ProvenDevice, steps: () => T | Promise<T>): Promise<T> {
  try {
    return await steps();
  } catch (error) {
    if (!(error instanceof EnrollmentError) || error.device !== undefined) throw error;
    const { account, deviceId } = device;
    throw new EnrollmentError(error.code, error.message, {
      cause: error.cause,
      device: { account, deviceId },
    });
  }
}
