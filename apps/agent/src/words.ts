import { claimCodeOf } from '@signet/contracts';
import { type AgentError, ownError } from './agent-error.ts';
import { MessageError } from './messages/message-error.ts';
import type { RunEvent } from './run.ts';

const UNITS = [
  [86_400_000, 'days'],
  [3_600_000, 'hours'],
  [60_000, 'minutes'],
  [1000, 'seconds'],
] as const;

/** In the largest unit of which there are two. */
export function duration(ms: number): string {
  const [unit, name] = UNITS.find(([size]) => ms >= 2 * size) ?? [1000, 'seconds'];
  const count = Math.round(ms / unit);
  if (count === 0) return 'less than a second';
  return count === 1 ? `1 ${name.slice(0, -1)}` : `${count} ${name}`;
}

/** How far a time lies from now. Unix ms. */
export function relativeTime(at: number, now: number): string {
  const ms = at - now;
  return ms < 0 ? `${duration(-ms)} ago` : `in ${duration(ms)}`;
}

/** A time to the second, UTC. Unix ms. */
export function timeOf(at: number): string {
  return new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}

/** What happened, in a line for people: its step, and what there is to say of it. `now` in Unix ms. */
export function lineOf(event: RunEvent, now: number): string {
  return `${timeOf(now)} ${wordsOf(event, now)}`.trimEnd();
}

function wordsOf(event: RunEvent, now: number): string {
  switch (event.step) {
    case 'waiting':
      return `waiting: an operator has to claim this device by its claim code ${claimCodeOf(event.fingerprint)}, or to admit it; asking again in ${duration(event.seconds * 1000)}`;
    case 'enrolled':
      return `enrolled: certificate until ${timeOf(event.notAfter.getTime())} (${relativeTime(event.notAfter.getTime(), now)})`;
    case 'retrying':
      return `retrying in ${duration(event.seconds * 1000)}: ${event.reason}`;
    case 'renewal-planned': {
      const at = event.at.getTime();
      const by = event.by === 'server' ? 'as the server suggests' : 'by the lifetime of the certificate';
      return `renewal-planned: ${timeOf(at)} (${relativeTime(at, now)}), ${by}`;
    }
    case 'message':
      return `message ${event.levels.join('/')} ${event.payload.toString('utf8', 0, 200)}`;
    default:
      return `${event.step} ${facts(event)}`;
  }
}

function facts({ step: _named, ...rest }: RunEvent): string {
  return Object.entries(rest)
    .filter(
      ([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0),
    )
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}

/** Refusals that an operator has decided on, and what each means to whoever stands at the device. */
const BY_OPERATOR: Readonly<Record<string, string>> = {
  blocked: 'blocked by an operator',
  retired: 'revoked by an operator',
  revoked: 'revoked by an operator',
  // the deny list does not say which
  denied: 'blocked or revoked by an operator',
};

/** Whether an operator has shut the device out, and how. */
export function byOperator({ refusal = '' }: Pick<AgentError, 'refusal'>): string | undefined {
  return BY_OPERATOR[refusal];
}

/** Why a command has failed, in lines for people: never a stack trace. */
export function failureLines(error: unknown): string[] {
  if (error instanceof MessageError) return [`signet-agent: ${error.code}: ${error.message}`];
  const own = ownError(error);
  if (own === undefined) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return [`signet-agent: unexpected: ${text.split('\n')[0]}`];
  }
  const operator = byOperator(own);
  const why = operator === undefined ? '' : `${operator}; `;
  const lines = [`signet-agent: ${own.code}: ${why}${own.message}`];
  if (own.code === 'broken-folder')
    lines.push('"signet-agent repair" says what can be done about it; nothing was changed');
  return lines;
}
