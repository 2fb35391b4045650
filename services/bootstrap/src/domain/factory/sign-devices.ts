import type * as operations from '@signet/contracts';
import {
  type FactoryItem,
  type FactoryResult,
  OperationError,
  PLATFORM_ACCOUNT,
  signBootstrap,
} from '@signet/contracts';
import { parseCertificatePem } from '@signet/pki';
import { isDuplicate } from '@signet/store';
import { z } from 'zod';
import type { DeviceRecord } from '../../collections.ts';
import type { Context, InputOf } from '../../context.ts';
import { factoryDeviceId, makersView } from '../device/show-devices.ts';
import { manufacturedEvent } from '../device/transitions.ts';
import { readPage, viewsOf } from '../documents/documents.ts';
import { BootstrapError } from '../refusals/errors.ts';
import { newDeviceRecord } from './new-device.ts';

type Item = z.output<typeof FactoryItem>;

type Result = z.input<typeof FactoryResult> | { error: { code: string; message: string } };

/** What an account made, in the order of the making. */
export async function readFactoryLog(
  { devices }: Pick<Context, 'devices'>,
  { account, ...page }: InputOf<typeof operations.factoryLog>,
) {
  const query = { index: 'byFactory', equals: { factoryAccount: account } } as const;
  return viewsOf(await readPage(devices, query, page), makersView);
}

/**
 * Signs bootstrap certificates with the account's factory CA and records the devices (F55, F57). Each stands by itself.
 * @throws OperationError as `est-ca` does
 */
export async function signDevices(
  ctx: Pick<Context, 'bus' | 'devices' | 'now'>,
  { account, items }: InputOf<typeof operations.factorySign>,
): Promise<{ results: Result[] }> {
  const { results, ...issuer } = await ctx.bus.request(
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
          return await recordSigned(ctx, { account, issuer, item, certificate: signed.certificate });
        } catch (error) {
          return failureOf(error);
        }
      }),
    ),
  };
}

type Issuer = { authorityId: string; chain: string[]; trustAnchors: string[] };

type Signed = { account: string; issuer: Issuer; item: Item; certificate: string };

/** @throws what is not the item's own fault: it fails the call, which the factory may repeat */
function failureOf(error: unknown): Result {
  if (error instanceof BootstrapError) return { error: { code: error.code, message: error.message } };
  if (error instanceof z.ZodError)
    return { error: { code: 'invalid-input', message: z.prettifyError(error) } };
  throw error;
}

/**
 * No certificate leaves unrecorded. A device is what its certificate says; the same one with the same key gets what it
 * got before, so that a factory may retry.
 */
async function recordSigned(
  ctx: Pick<Context, 'devices' | 'now'>,
  { account, issuer, item, certificate }: Signed,
): Promise<Result> {
  const now = ctx.now();
  const document = newDeviceRecord({
    certificate: parseCertificatePem(certificate),
    ...{ factoryAccount: account, authorityId: issuer.authorityId, model: item.model, now },
  });
  try {
    await ctx.devices.insert(document, [manufacturedEvent(document, now)]);
    return factoryResult(document, issuer);
  } catch (error) {
    if (!isDuplicate(error) || error.index !== 'bySerialNumber') throw error;
    const earlier = await earlierDevice(ctx, document);
    if (earlier?.publicKeyHash === document.publicKeyHash) return factoryResult(earlier, issuer);
    throw new BootstrapError(
      'serial-number-taken',
      `deviceSerialNumber: "${document.deviceSerialNumber}" was made before, with another key`,
      { field: 'deviceSerialNumber' },
    );
  }
}

async function earlierDevice(
  ctx: Pick<Context, 'devices'>,
  document: DeviceRecord,
): Promise<DeviceRecord | undefined> {
  const { factoryAccount = PLATFORM_ACCOUNT, deviceSerialNumber } = document;
  const page = await ctx.devices.find({
    index: 'bySerialNumber',
    equals: { factoryAccount, deviceSerialNumber },
    limit: 1,
  });
  return page.items[0];
}

function factoryResult(record: DeviceRecord, { chain, trustAnchors }: Issuer): z.input<typeof FactoryResult> {
  return {
    fingerprint: record.id,
    deviceId: factoryDeviceId(record),
    certificateSerial: record.certificateSerial,
    certificate: record.certificate,
    chain,
    trustAnchors,
  };
}
