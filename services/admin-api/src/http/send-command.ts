import type { Bus } from '@signet/bus';
import {
  COMMAND_TYPE,
  type CommandStatement,
  getAccountSettings,
  getDevice,
  mqttSubject,
  signStatement,
  uuidv7,
} from '@signet/contracts';
import { Problem } from '@signet/service';

/** Nobody reads `down/` for devices in these states. */
const DEAF: ReadonlySet<string> = new Set(['manufactured', 'claimed', 'blocked', 'retired']);

export type CommandOrder = Pick<CommandStatement, 'account' | 'deviceId' | 'name'> & {
  readonly payload?: unknown;
  readonly expiresInSeconds: number;
};

/**
 * Signs a command with the account's command key and hands it to the device's broker. The device answers on
 * `up/command`, by the id.
 * @throws OperationError `unknown-device`; Problem `device-not-in-service`, `commands-off`; BusError
 */
export async function sendCommand(
  deps: { readonly bus: Bus; readonly now: () => number },
  { expiresInSeconds, ...order }: CommandOrder,
): Promise<{ id: string; expiresAt: string }> {
  const { bus, now } = deps;
  const { account, deviceId } = order;
  const [device, settings] = await Promise.all([
    bus.request(getDevice, { account, deviceId }),
    bus.request(getAccountSettings, { account }),
  ]);
  if (DEAF.has(device.state))
    throw new Problem(409, 'device-not-in-service', `deviceId: "${deviceId}" is ${device.state}`);
  if (!settings.commandCertificate)
    throw new Problem(409, 'commands-off', 'account: its devices get no command certificate');
  const id = uuidv7(now());
  const iat = Math.floor(now() / 1000);
  const exp = iat + expiresInSeconds;
  const statement: CommandStatement = { ...order, payload: order.payload ?? null, id, iat, exp };
  const payload = Buffer.from(JSON.stringify(statement)).toString('base64url');
  const { jws } = await bus.request(signStatement, { account, type: COMMAND_TYPE, payload });
  await bus.send(mqttSubject(account, deviceId, 'down', ['command']), Buffer.from(jws), { stored: true });
  return { id, expiresAt: new Date(exp * 1000).toISOString() };
}
