import type { importFactoryLog, OperationInput, OperationOutput } from '@signet/contracts';
import { decodePem, type IssuerSet, PkiError, verifyPeer } from '@signet/pki';
import { z } from 'zod';
import { BootstrapError } from '../device/bootstrap-error.ts';
import type { Devices } from '../device/find-device.ts';
import { newDevice, takeUp } from './new-device.ts';

type Input = OperationInput<typeof importFactoryLog>;
type Result = OperationOutput<typeof importFactoryLog>['results'][number];

export type ImportDeps = {
  readonly devices: Pick<Devices, 'insert'>;
  readonly issuers: () => IssuerSet;
  /** Id of the CA with this subject key id. */
  readonly authorityOf: (keyId: string) => string | undefined;
  readonly now: () => number;
};

/**
 * Takes up what a factory made while it was offline (F91): certificates of the account's own factory CAs. Each stands
 * by itself; repeating it changes nothing.
 */
export function importLog(deps: ImportDeps, { account, items }: Input): Promise<Result[]> {
  return Promise.all(items.map((item) => importOne(deps, account, item)));
}

async function importOne(deps: ImportDeps, account: string, item: Input['items'][number]): Promise<Result> {
  try {
    const now = deps.now();
    const leaf = decodePem(item.certificate, 'CERTIFICATE');
    const peer = verifyPeer({
      leaf,
      issuers: deps.issuers(),
      purposes: ['bootstrap'],
      now,
      // whether it may come in is asked when it comes
      denied: () => undefined,
    });
    if (!peer.ok) return failed(peer.code, peer.message);
    const authorityId = deps.authorityOf(peer.issuer.keyId);
    if (peer.issuer.account !== account || authorityId === undefined)
      return failed('unknown-issuer', `issuer: is no factory CA of account "${account}"`);
    const { certificate } = peer;
    const record = newDevice({ certificate, factoryAccount: account, authorityId, model: item.model, now });
    const { isNew } = await takeUp(deps.devices, record, { seen: false, now });
    return { fingerprint: record.id, deviceId: record.deviceId, isNew };
  } catch (error) {
    if (error instanceof PkiError) return failed(error.code, `certificate: ${error.message}`);
    if (error instanceof BootstrapError) return failed(error.code, error.message);
    if (error instanceof z.ZodError) return failed('invalid-input', z.prettifyError(error));
    throw error;
  }
}

function failed(code: string, message: string): Result {
  return { error: { code, message } };
}
