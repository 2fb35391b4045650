import type { Bus } from '@signet/bus';
import { getAccountSettings, getDevice, OperationError, signStatement } from '@signet/contracts';

const time = '2026-03-01T12:00:00.000Z';
export const states: Readonly<Record<string, 'active' | 'blocked' | 'claimed'>> = {
  'dev-1': 'active',
  'dev-2': 'blocked',
  'dev-3': 'claimed',
};

/** What bootstrap and est-ca answer about devices that commands go to; what they were asked to sign. */
export type CommandOwners = AsyncDisposable & {
  commandCertificate: boolean;
  readonly signed: { account: string; type: string; claims: Record<string, unknown> }[];
};

export async function serveCommandOwners(bus: Bus): Promise<CommandOwners> {
  const stack = new AsyncDisposableStack();
  const owners: CommandOwners = {
    commandCertificate: true,
    signed: [],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  stack.use(
    await bus.serve(getDevice, async ({ account, deviceId = '' }) => {
      const state = states[deviceId];
      if (state === undefined) throw new OperationError('unknown-device', 'deviceId: unknown');
      const fingerprint = 'ab'.repeat(32);
      const factory = { factoryAccount: account, deviceSerialNumber: 'SN', manufacturedAt: time };
      return {
        deviceId,
        account,
        fingerprint,
        state,
        certificate: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
        ...factory,
      };
    }),
  );
  stack.use(
    await bus.serve(getAccountSettings, async () => ({
      ...{
        handsOver: 'either' as const,
        comesBack: 'unattended' as const,
        mqttCredentials: false,
        config: {},
      },
      ...{
        commandCertificate: owners.commandCertificate,
        certificateInBundle: true,
        voidedFactoryCaDenies: true,
      },
    })),
  );
  stack.use(
    await bus.serve(signStatement, async ({ account, type, payload }) => {
      owners.signed.push({ account, type, claims: JSON.parse(Buffer.from(payload, 'base64url').toString()) });
      return { jws: 'head.body.tail' };
    }),
  );
  return owners;
}
