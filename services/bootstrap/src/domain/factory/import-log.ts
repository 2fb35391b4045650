import type * as operations from '@signet/contracts';
import { type Certificate, decodePem, type IssuerSet, PkiError, verifyPeer } from '@signet/pki';
import { z } from 'zod';
import type { AnswerOf, Context, InputOf } from '../../context.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { inForce } from './factory-pins.ts';
import { insertDevice, newDeviceRecord } from './new-device.ts';

type ImportInput = InputOf<typeof operations.importFactoryLog>;

type ImportResult = AnswerOf<typeof operations.importFactoryLog>['results'][number];

type ImportContext = Pick<Context, 'devices' | 'trust' | 'factories' | 'now'>;

/**
 * Records what a factory made while it was offline (F91): certificates of the account's own factory CAs. Each stands
 * by itself; repeating it changes nothing.
 */
export async function importFactoryLog(
  ctx: ImportContext,
  { account, items }: InputOf<typeof operations.importFactoryLog>,
) {
  return { results: await Promise.all(items.map((item) => importOne(ctx, account, item))) };
}

async function importOne(
  ctx: ImportContext,
  account: string,
  item: ImportInput['items'][number],
): Promise<ImportResult> {
  try {
    const now = ctx.now();
    const leaf = decodePem(item.certificate, 'CERTIFICATE');
    const peer = verifyPeer({
      leaf,
      issuers: issuersOfAccount(ctx.trust.issuers(), account),
      purposes: ['bootstrap'],
      now,
      // whether it may come in is asked when it comes
      denied: () => undefined,
    });
    const foreign = `issuer: is no factory CA of account "${account}"`;
    if (!peer.ok) return itemFailure(peer.code, peer.code === 'unknown-issuer' ? foreign : peer.message);
    const pins = ctx.factories.byKeyId(peer.issuer.keyId);
    const [first] = pins;
    if (peer.issuer.account !== account || first === undefined) return itemFailure('unknown-issuer', foreign);
    const { certificate } = peer;
    // a log makes a device nobody's where other accounts have the CA pinned too: only a claim decides
    const factoryAccount = inForce(pins).length === 1 ? account : undefined;
    const { authorityId } = first;
    const record = newDeviceRecord({ certificate, factoryAccount, authorityId, model: item.model, now });
    const { isNew } = await insertDevice(ctx.devices, record, { now });
    return { fingerprint: record.id, deviceId: record.deviceId, isNew };
  } catch (error) {
    if (error instanceof PkiError) return itemFailure(error.code, `certificate: ${error.message}`);
    if (error instanceof BootstrapError) return itemFailure(error.code, error.message);
    if (error instanceof z.ZodError) return itemFailure('invalid-input', z.prettifyError(error));
    throw error;
  }
}

/** The CAs of one account, so that another that has the same CA pinned does not answer for it. */
function issuersOfAccount(issuers: IssuerSet, account: string): IssuerSet {
  const candidates = (certificate: Certificate) =>
    issuers.candidates(certificate).filter((issuer) => issuer.account === account);
  return { ...issuers, candidates };
}

function itemFailure(code: string, message: string): ImportResult {
  return { error: { code, message } };
}
