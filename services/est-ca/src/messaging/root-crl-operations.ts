import { OperationError } from '@signet/contracts';
import { AuthorityError } from '../domain/authority/authority-error.ts';
import { describeRootCrl, describeUpload, type RootCrlDeps, uploadRootCrl } from '../domain/crl/root-crl.ts';
import type { EstCaOperations } from './operations.ts';

/** CRLs of roots that their accounts keep. */
export function rootCrlOperations(
  deps: RootCrlDeps,
): Pick<EstCaOperations, 'describeRootCrl' | 'uploadRootCrl'> {
  return {
    describeRootCrl: (input) =>
      typed(async () => {
        const { request, current } = await describeRootCrl(deps, input);
        return current === undefined ? { request } : { request, current };
      }),
    uploadRootCrl: (input) =>
      typed(async () => ({ current: describeUpload(await uploadRootCrl(deps, input)) })),
  };
}

async function typed<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (!(cause instanceof AuthorityError)) throw cause;
    throw new OperationError(cause.code, cause.message, { cause });
  }
}
