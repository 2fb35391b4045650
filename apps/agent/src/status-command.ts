import type { Command } from 'commander';
import { deviceNow } from './clock.ts';
import type { DeviceFolder } from './device-folder.ts';
import type { QueueSize } from './messages/message-queue.ts';
import { type AgentStatus, type Pending, readStatus } from './status.ts';
import { relativeTime } from './words.ts';

/** `signet-agent status`: one screen. */
export function addStatusCommand(program: Command, folder: () => DeviceFolder): void {
  program
    .command('status')
    .description('who this device is, with which key, until when; whom it met last, and what is pending')
    .option('--json', 'for programs')
    .action(async ({ json = false }: { json?: boolean }) => {
      const now = deviceNow();
      const status = await readStatus(folder(), now);
      console.log(json ? JSON.stringify(status) : screen(status, now));
    });
}

/** The status for people: a name and what there is to say of it in each line. */
export function screen(status: AgentStatus, now: number): string {
  const { certificate, contacts, refusals, pending } = status;
  const met = Object.entries(contacts).sort(([, a], [, b]) => b.localeCompare(a));
  const lines = [
    ['device', status.deviceId === undefined ? 'not onboarded yet' : `${status.account}/${status.deviceId}`],
    ['bootstrap', status.fingerprint],
    ...(certificate === undefined
      ? []
      : [
          ['certificate', certificate.serialNumber],
          ['key', `${certificate.publicKeyHash} (${certificate.keyType}, ${certificate.keyKind})`],
          ['valid until', `${certificate.notAfter} (${relativeTime(Date.parse(certificate.notAfter), now)})`],
          ['renews', `${certificate.renewFrom} (${BY[certificate.renewBy]})`],
        ]),
    ...listed(
      'contact',
      met.map(([server, at]) => `${server} ${at} (${relativeTime(Date.parse(at), now)})`),
      'none yet',
    ),
    ...listed('pending', pendingLines(pending), 'nothing'),
    ...listed(
      'refused',
      refusals.map(({ at, reason }) => `${at} ${reason}`),
      'never',
    ),
  ];
  return lines.map(([name = '', text = '']) => `${name.padEnd(12)} ${text}`).join('\n');
}

const BY = { server: 'as the server suggests', own: 'by its lifetime' } as const;

function pendingLines({ enrolment, rotation, config, updates, messages, reports }: Pending): string[] {
  return [
    ...(enrolment ? ['an enrolment is under way'] : []),
    ...(rotation === undefined ? [] : [`rotation ${rotation.id}: done up to "${rotation.step}"`]),
    ...(config === undefined ? [] : [`config ${config.told}; in force is ${config.applied ?? 'none'}`]),
    ...updates.map(({ name, version }) => `update ${name} ${version}`),
    ...queued('message', messages),
    ...queued('report', reports),
  ];
}

function queued(what: string, { messages, bytes }: QueueSize): string[] {
  return messages === 0 ? [] : [`${messages} ${what}${messages === 1 ? '' : 's'} (${bytes} bytes)`];
}

/** The name stands in the first line only. */
function listed(name: string, texts: readonly string[], none: string): string[][] {
  if (texts.length === 0) return [[name, none]];
  return texts.map((text, i) => [i === 0 ? name : '', text]);
}
