import type { Bus, Subscription } from '@signet/bus';
import {
  type FactoryItem,
  type FactoryResult,
  factoryLog,
  factorySign,
  OperationError,
  PLATFORM_ACCOUNT,
  signBootstrap,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { type Collection, StoreError } from '@signet/store';
import { z } from 'zod';
import type { DeviceIndex, DeviceRecord } from '../collections.ts';
import { factoryDeviceId, makersView } from '../domain/device/device-view.ts';
import { manufacturedEvent } from '../domain/device/transitions.ts';
import { BootstrapError } from '../domain/errors.ts';
import { newDeviceRecord } from '../domain/factory/new-device.ts';
import { serveIdentify } from './factory-identify.ts';

type Item = z.output<typeof FactoryItem>;

type Result = z.input<typeof FactoryResult> | { error: { code: string; message: string } };

type Deps = { bus: Bus; devices: Collection<DeviceRecord, DeviceIndex>; now: () => number };

/** Signs bootstrap certificates and keeps the factory log (F55, F57). */
export async function serveFactory(deps: Deps): Promise<Subscription[]> {
  return [
    await serveIdentify(deps),
    await deps.bus.serve(factorySign, ({ account, items }) => signItems(deps, account, items)),
    await deps.bus.serve(factoryLog, async ({ account, cursor, limit }) => {
      const page = await deps.devices.find({
        index: 'byFactory',
        equals: { factoryAccount: account },
        limit,
        ...(cursor === undefined ? {} : { cursor }),
      });
      return { items: page.items.map(makersView), ...(page.next === undefined ? {} : { next: page.next }) };
    }),
  ];
}

async function signItems(
  deps: Deps,
  account: string,
  items: readonly Item[],
): Promise<{ results: Result[] }> {
  const { results, ...issuer } = await deps.bus.request(
    signBootstrap,
    {
      account,
      items: items.map(({ csr, deviceSerialNumber }) => ({
        csr,
        ...(deviceSerialNumber === undefined ? {} : { deviceSerialNumber }),
      })),
    },
    { deadlineMs: 30_000 },
  );
  return {
    results: await Promise.all(
      items.map(async (item, i): Promise<Result> => {
        const signed = results[i];
        if (signed === undefined)
          throw new OperationError('internal', 'est-ca answered fewer results than items');
        if ('error' in signed) return signed;
        try {
          return await record(deps, { account, issuer, item, certificate: signed.certificate });
        } catch (error) {
          return failed(error);
        }
      }),
    ),
  };
}

type Issuer = { authorityId: string; chain: string[]; trustAnchors: string[] };

type Signed = { account: string; issuer: Issuer; item: Item; certificate: string };

/** @throws what is not the item's own fault: it fails the call, which the factory may repeat */
function failed(error: unknown): Result {
  if (error instanceof BootstrapError) return { error: { code: error.code, message: error.message } };
  if (error instanceof z.ZodError)
    return { error: { code: 'invalid-input', message: z.prettifyError(error) } };
  throw error;
}

/**
 * No certificate leaves unrecorded. A device is what its certificate says; the same one with the same key gets what it
 * got before, so that a factory may retry.
 */
async function record(deps: Deps, { account, issuer, item, certificate }: Signed): Promise<Result> {
  const now = deps.now();
  const document = newDeviceRecord({
    certificate: parseCertificatePem(certificate),
    ...{ factoryAccount: account, authorityId: issuer.authorityId, model: item.model, now },
  });
  try {
    await deps.devices.insert(document, [manufacturedEvent(document, now)]);
    return answer(document, issuer);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'duplicate' || error.index !== 'bySerialNumber')
      throw error;
    const earlier = await madeBefore(deps, document);
    if (earlier?.publicKeyHash === document.publicKeyHash) return answer(earlier, issuer);
    throw new BootstrapError(
      'serial-number-taken',
      `deviceSerialNumber: "${document.deviceSerialNumber}" was made before, with another key`,
      'deviceSerialNumber',
    );
  }
}

async function madeBefore(deps: Deps, document: DeviceRecord): Promise<DeviceRecord | undefined> {
  const { factoryAccount = PLATFORM_ACCOUNT, deviceSerialNumber } = document;
  const page = await deps.devices.find({
    index: 'bySerialNumber',
    equals: { factoryAccount, deviceSerialNumber },
    limit: 1,
  });
  return page.items[0];
}

function answer(record: DeviceRecord, { chain, trustAnchors }: Issuer): z.input<typeof FactoryResult> {
  return {
    fingerprint: record.id,
    deviceId: factoryDeviceId(record),
    certificateSerial: record.certificateSerial,
    certificate: record.certificate,
    chain,
    trustAnchors,
  };
}
