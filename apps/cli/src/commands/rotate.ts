import { setTimeout as sleep } from 'node:timers/promises';
import type { Campaign, Rotation } from '@signet/contracts';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { action, type Context, type Environment } from '../context.ts';
import { facts, named, table } from '../output.ts';
import { wholeNumber } from '../parse-number.ts';
import { parseTime } from '../parse-time.ts';

const BASE = '/v1/accounts/{account}/campaigns';
const WATCH_MS = 1000;

type StartOptions = {
  group?: string;
  expiresBefore?: string;
  rate: string;
  maxFailures: string;
  deadlineHours: string;
  watch?: boolean;
};

type CancelOptions = { device?: string; reason?: string; revoke?: boolean; force?: boolean };

/** `signet rotate …`: new keys for devices, at a rate, with a view of how it goes. */
export function rotateCommands(program: Command, environment: Environment): void {
  const rotate = program
    .command('rotate')
    .description('rotate the keys of a device, a group, or all devices whose certificates expire soon');

  rotate
    .command('start [devices...]')
    .description('order rotations at a limited rate')
    .option('--group <group>', 'every device of a group')
    .option(
      '--expires-before <time>',
      'every device whose certificates all expire before that time',
      parseTime,
    )
    .option('--rate <count>', 'maximum rotation orders a minute', wholeNumber(1), 60)
    .option('--max-failures <count>', 'pause the campaign after this many failures', wholeNumber(0), 10)
    .option(
      '--deadline-hours <hours>',
      'a device that has not finished by then counts as failed',
      wholeNumber(1),
      72,
    )
    .option('--watch', 'watch the progress')
    .action(
      action(program, environment, async (context, devices: string[], options: StartOptions) => {
        const campaign = await context.api.post<Campaign>(BASE, {
          ...(devices.length > 0 ? { deviceIds: devices } : {}),
          group: options.group,
          expiresBefore: options.expiresBefore,
          perMinute: options.rate,
          maxFailures: options.maxFailures,
          deadlineHours: options.deadlineHours,
        });
        if (options.watch === true) return await watch(context, campaign);
        context.say(campaign, () => describe(campaign));
      }),
    );

  rotate
    .command('status [campaign]')
    .description('show the progress of a campaign; without an id, all campaigns and rotations in flight')
    .option('--watch', 'watch the progress until it ends')
    .option('--stalled', 'only rotations that are stalled')
    .action(
      action(
        program,
        environment,
        async (context, id: string | undefined, options: { watch?: boolean; stalled?: boolean }) => {
          if (id === undefined) return await overview(context, options.stalled === true);
          const campaign = await context.api.get<Campaign>(pathOf(id));
          if (options.watch === true) return await watch(context, campaign);
          context.say(campaign, () => describe(campaign));
          if (!context.json) await failures(context, id);
        },
      ),
    );

  for (const [verb, description] of [
    ['pause', 'no further device is ordered'],
    ['resume', 'go on; what failed so far is looked past'],
  ] as const)
    rotate
      .command(`${verb} <campaign>`)
      .description(description)
      .option('--reason <text>', 'reason, stored with the campaign')
      .action(
        action(program, environment, async ({ api, say }, id: string, { reason }: { reason?: string }) => {
          const campaign = await api.post<Campaign>(`${pathOf(id)}/${verb}`, { reason });
          say(campaign, () => describe(campaign));
        }),
      );

  rotate
    .command('cancel [campaign]')
    .description('a campaign: devices not yet started are skipped; or the rotation of one device')
    .option('--device <device>', 'cancel the rotation of this device; its announced key stays valid')
    .option('--revoke', 'with --device: also revoke the certificates of its announced keys')
    .option('--force', 'with --revoke: proceed although the device has confirmed such a key')
    .option('--reason <text>', 'reason, stored with the campaign')
    .action(
      action(
        program,
        environment,
        async (
          { api, say },
          id: string | undefined,
          { device, reason, revoke = false, force = false }: CancelOptions,
        ) => {
          if ((id === undefined) === (device === undefined))
            throw new CliError('name a campaign, or a device with --device');
          if (device === undefined && (revoke || force))
            throw new CliError('--revoke and --force go with --device');
          if (force && !revoke) throw new CliError('--force goes with --revoke');
          if (device !== undefined) {
            const path = `/v1/accounts/{account}/devices/${encodeURIComponent(device)}/rotation/cancel`;
            const done = await api.post<{ rotationId: string; revoked: string[] }>(path, { revoke, force });
            say(done, () => cancelledLine(device, done));
            return;
          }
          const campaign = await api.post<Campaign>(`${pathOf(id ?? '')}/cancel`, { reason });
          say(campaign, () => describe(campaign));
        },
      ),
    );
}

function cancelledLine(
  device: string,
  { rotationId, revoked }: { readonly rotationId: string; readonly revoked: readonly string[] },
): string {
  const keys =
    revoked.length === 0
      ? 'its announced key stays valid until it is seen'
      : `revoked: ${revoked.join(', ')}`;
  return `${device}: rotation ${rotationId} is cancelled; ${keys}`;
}

/** One line for each change, until the campaign goes on no more. */
async function watch({ api, say, stopped }: Context, first: Campaign): Promise<void> {
  let shown = '';
  for (let campaign = first; ; campaign = await api.get<Campaign>(pathOf(first.campaignId))) {
    const line = progress(campaign);
    if (line !== shown) say(campaign, () => line);
    shown = line;
    if (campaign.state !== 'PREPARING' && campaign.state !== 'RUNNING') return;
    await sleep(WATCH_MS, undefined, { signal: stopped });
  }
}

async function overview({ api, list }: Context, stalled: boolean): Promise<void> {
  if (!stalled)
    await list(api.all<Campaign>(BASE, { limit: 100 }), {
      campaign: (campaign) => campaign.campaignId,
      started: (campaign) => campaign.createdAt,
      state: progress,
    });
  const filter = { stalled: String(stalled), limit: 1000 };
  await list(api.all<Rotation>('/v1/accounts/{account}/rotations', filter), {
    device: (each) => each.deviceId,
    rotation: (each) => each.rotationId,
    since: (each) => each.since,
    state: (each) => (each.stalled ? 'stalled' : each.confirmedAt === undefined ? 'announced' : 'confirmed'),
  });
}

async function failures({ api, print }: Context, id: string): Promise<void> {
  const rows: unknown[][] = [];
  for await (const each of api.all<{ deviceId: string; endedAt?: string; reason?: string }>(
    `${pathOf(id)}/devices`,
    { state: 'FAILED', limit: 1000 },
  ))
    rows.push([each.deviceId, each.endedAt, each.reason]);
  if (rows.length > 0) print(`\n${table(['failed', 'at', 'why'], rows)}`);
}

function describe(campaign: Campaign): string {
  return facts({
    campaign: campaign.campaignId,
    rotation: campaign.rotationId,
    devices: campaign.group
      ? `group ${campaign.group}`
      : campaign.expiresBefore
        ? `certificates that end before ${campaign.expiresBefore}`
        : campaign.deviceIds && named(campaign.deviceIds),
    state: progress(campaign),
    rate: `${campaign.perMinute} a minute`,
    'pauses at': `${campaign.maxFailures} failures`,
    started: `${campaign.createdAt} by ${campaign.createdBy}`,
    ended: campaign.endedAt,
  });
}

function progress({ state, reason, counts }: Campaign): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const open = counts.WAITING + counts.ORDERED;
  const parts = [`${counts.DONE} of ${total} done`, `${counts.ORDERED} ordered`, `${counts.WAITING} waiting`];
  if (counts.FAILED > 0) parts.push(`${counts.FAILED} failed`);
  if (counts.SKIPPED > 0) parts.push(`${counts.SKIPPED} left out`);
  if (counts.WITHDRAWN > 0) parts.push(`${counts.WITHDRAWN} skipped`);
  const why = reason === undefined ? '' : ` (${reason})`;
  return `${state}${why}: ${open === 0 ? parts.filter((part) => !part.startsWith('0 ')).join(', ') || 'no devices' : parts.join(', ')}`;
}

function pathOf(id: string): string {
  return `${BASE}/${encodeURIComponent(id)}`;
}
