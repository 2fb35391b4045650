import type {
  Device,
  DeviceKeys,
  DeviceProfileMove,
  DevicesChanged,
  IssuedCertificate,
  Refusal,
} from '@signet/contracts';
import type { Command } from 'commander';
import { certificateState } from '../certificate-state.ts';
import { claimFile } from '../claim-file.ts';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { fingerprintOf, requireFingerprint } from '../fingerprint.ts';
import { facts, table } from '../output.ts';
import { readText } from '../read-input.ts';
import { revokeAndWatch } from '../revoke-and-watch.ts';

type DeviceView = {
  device: Device;
  certificates: IssuedCertificate[];
  keys?: DeviceKeys;
  profile?: DeviceProfileMove;
  activity?: {
    connected: boolean;
    node: string;
    address: string;
    since: string;
    lastSeenAt: string;
    endedBy?: string;
  };
  refusals: (Refusal & { at: string })[];
  unavailable: string[];
};

export function deviceCommands(program: Command, environment: Environment): void {
  const devices = program.command('devices').description('claim, look at, block and revoke devices');

  devices
    .command('claim [device]')
    .description(
      'claim a device by fingerprint, claim code or certificate file; or many devices by a CSV file',
    )
    .option('--id <device id>', 'device id in this account (default: the id from the factory)')
    .option('--group <group>', 'group of the device; with --csv, of devices without a group in the file')
    .option(
      '--csv <file>',
      'CSV file; the first line names the columns: fingerprint or code, deviceId, group',
    )
    .action(action(program, environment, claim));

  devices
    .command('add-identity <fingerprint> <certificate>')
    .description('register a second bootstrap certificate of a device, such as an LDevID next to its IDevID')
    .action(
      action(program, environment, async ({ api, say }, fingerprint: string, file: string) => {
        const certificate = await readText(file);
        const added = await api.post<{ secondFingerprint: string }>(
          '/v1/accounts/{account}/devices/identities',
          { fingerprint: await requireFingerprint(fingerprint), certificate },
        );
        say(added, () => `${added.secondFingerprint} is registered to the same device`);
      }),
    );

  devices
    .command('set-profile <device> <profile>')
    .description('move a device to another enrollment profile for its next renewals')
    .action(
      action(program, environment, async ({ api, say }, device: string, profile: string) => {
        const moved = await api.put<{ account: string; deviceId: string; profile: string }>(
          `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/profile`,
          { profile },
        );
        say(moved, () => `${moved.account}/${moved.deviceId} renews under ${moved.profile}`);
      }),
    );

  devices
    .command('list')
    .description('list the devices of the account')
    .option('--state <state>', 'only devices in this state')
    .option('--group <group>', 'only devices of this group')
    .action(
      action(program, environment, async ({ api, list }, filter: { state?: string; group?: string }) => {
        await list(api.all<Device>('/v1/accounts/{account}/devices', { ...filter, limit: 1000 }), {
          device: (device) => device.deviceId,
          state: (device) => device.state,
          group: (device) => device.group,
          model: (device) => device.model,
          claimed: (device) => device.claimedAt,
          fingerprint: (device) => device.fingerprint,
        });
      }),
    );

  devices
    .command('show <device>')
    .description('show everything about a device, and why it was refused')
    .action(
      action(program, environment, async ({ api, say }, device: string) => {
        const view = await api.get<DeviceView>(
          `/v1/accounts/{account}/devices/${encodeURIComponent(device)}`,
        );
        say(view, () => describe(view));
      }),
    );

  for (const [verb, past, description] of [
    ['block', 'blocked', 'block devices everywhere until they are unblocked; live sessions end'],
    ['unblock', 'unblocked', 'unblock devices'],
    ['reset', 'reset', 'reset devices in this account: certificates are revoked, the devices onboard again'],
    [
      'unclaim',
      'given up',
      'release devices from the account: certificates are revoked, the devices are as new',
    ],
  ] as const) {
    selecting(devices.command(`${verb} [devices...]`).description(description)).action(
      action(program, environment, async (context, names: string[], options: Selection) => {
        const done = await context.api.post<DevicesChanged>(
          `/v1/accounts/{account}/devices/actions/${verb}`,
          await selection(names, options),
        );
        report(context, done, past);
      }),
    );
  }

  selecting(
    devices
      .command('revoke [devices...]')
      .description('revoke devices for good: their certificates are revoked, their sessions end'),
  ).action(
    action(program, environment, async (context, names: string[], options: Selection) => {
      const { done, cutAfterMs } = await revokeAndWatch(context, await selection(names, options));
      report(context, { ...done, cutAfterMs }, 'revoked');
      if (context.json) return;
      for (const [device, ms] of Object.entries(cutAfterMs))
        context.print(`${device}: session cut after ${ms} ms`);
    }),
  );
}

type ClaimOptions = { id?: string; group?: string; csv?: string };

async function claim(
  context: Context,
  name: string | undefined,
  { id, group, csv }: ClaimOptions,
): Promise<void> {
  if ((name === undefined) === (csv === undefined))
    throw new CliError('name a device by fingerprint, claim code or certificate file, or give --csv <file>');
  if (csv !== undefined) return claimFile(context, csv, { group });
  const fingerprint = await fingerprintOf(name ?? '');
  const which = fingerprint === undefined ? { code: name } : { fingerprint };
  const device = await context.api.post<Device>('/v1/accounts/{account}/devices', {
    ...which,
    deviceId: id,
    group,
  });
  context.say(device, () => {
    const line = `${device.account}/${device.deviceId} is ${device.state}`;
    if (group === undefined || device.group === group) return line;
    return `${line}; it was claimed before and is not moved: signet groups add ${group} ${device.deviceId}`;
  });
}

type Selection = { fingerprint?: string[]; group?: string; reason?: string };

function selecting(command: Command): Command {
  return command
    .option('--fingerprint <hex...>', 'fingerprint of the bootstrap certificate, or its file')
    .option('--group <group>', 'every device of a group, in one call')
    .option('--reason <text>', 'reason, stored with the device and in the events');
}

async function selection(deviceIds: string[], { fingerprint, group, reason }: Selection): Promise<object> {
  if (deviceIds.length === 0 && fingerprint === undefined && group === undefined) {
    throw new CliError('name devices, or give --fingerprint or --group');
  }
  const fingerprints = fingerprint && (await Promise.all(fingerprint.map(requireFingerprint)));
  return { ...(deviceIds.length > 0 ? { deviceIds } : {}), fingerprints, group, reason };
}

function report(context: Context, done: DevicesChanged & { cutAfterMs?: object }, past: string): void {
  const failures = done.failed.map(({ device, code, message }) => `${device}: ${code}: ${message}`);
  context.say(done, () => [...done.changed.map((device) => `${device} is ${past}`), ...failures].join('\n'));
  if (done.failed.length > 0) throw new CliError(`${done.failed.length} devices were not ${past}`);
}

/** Where the device is connected, or when it was last seen, at the broker or at the gateway. */
function sessionOf({
  activity,
  keys,
  unavailable,
}: Pick<DeviceView, 'activity' | 'keys' | 'unavailable'>): string {
  if (activity?.connected === true)
    return `connected to ${activity.node} from ${activity.address} since ${activity.since}`;
  const polledAt = keys?.gatewaySeenAt;
  if (polledAt !== undefined && (activity === undefined || activity.lastSeenAt < polledAt))
    return `last seen ${polledAt}, at the gateway`;
  if (activity !== undefined)
    return `last seen ${activity.lastSeenAt}, ended by ${activity.endedBy ?? 'unknown'}`;
  return unavailable.includes('provisioning') ? 'unknown' : 'never connected';
}

function describe(view: DeviceView): string {
  const { device, certificates, keys, profile, refusals, unavailable } = view;
  const parts = [
    facts({
      device: `${device.account}/${device.deviceId}`,
      state: device.reason === undefined ? device.state : `${device.state} (${device.reason})`,
      group: device.group,
      profile: profile && `${profile.profile} (moved by ${profile.movedBy} at ${profile.movedAt})`,
      model: device.model,
      'serial number': device.deviceSerialNumber,
      fingerprint: device.fingerprint,
      session: sessionOf(view),
      key: keys?.current?.publicKeyHash,
      'next key': keys?.next?.publicKeyHash,
      'did not answer': unavailable.length > 0 ? unavailable.join(', ') : undefined,
    }),
  ];
  if (certificates.length > 0) {
    const now = Date.now();
    const rows = certificates.map((c) => [c.serialNumber, c.notAfter, certificateState(c, now)]);
    parts.push(table(['certificate', 'valid until', 'state'], rows));
  }
  if (refusals.length > 0) {
    const rows = refusals.map((r) => [r.at, r.listener, r.code, r.count, r.message]);
    parts.push(table(['refused', 'at', 'code', 'times', 'why'], rows));
  }
  return parts.join('\n\n');
}
