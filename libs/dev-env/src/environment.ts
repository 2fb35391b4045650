import { setTimeout } from 'node:timers/promises';
import type { Authority } from '@signet/contracts';
import type { HealthReport } from '@signet/service';
import { EventLog } from './event-log.ts';
import { OperatorClient } from './operator-client.ts';
import type { ServiceLog } from './service-log.ts';

export const serviceNames = [
  'est-ca',
  'revocation-sync',
  'mqtt-broker',
  'provisioning',
  'bootstrap',
  'admin-api',
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The ports of the platform's listeners, as they are. */
export type Ports = Readonly<
  Record<'est' | 'http' | 'mqtt' | 'mqttProvisioning' | 'gateway' | 'bootstrap' | 'admin', number>
>;

/** A platform that runs, however it runs, and what a test or a developer does to it. */
export interface Environment extends AsyncDisposable {
  readonly ports: Ports;
  /** The administrator of the platform. */
  readonly operator: OperatorClient;
  readonly events: EventLog;
  readonly log: ServiceLog;
  /** Stops one service gracefully, the others go on. */
  stop(service: ServiceName): Promise<void>;
  /** Starts a stopped service again, on the ports that it had. */
  start(service: ServiceName): Promise<void>;
  /** What `/ready` of the process that runs the service says. */
  readiness(service: ServiceName): Promise<HealthReport>;
}

/** The operator's side of a platform: disposing it ends the event stream. */
export function openOperator(options: { readonly port: number; readonly token: string }): {
  readonly operator: OperatorClient;
  readonly events: EventLog;
} {
  const operator = new OperatorClient({ url: `http://127.0.0.1:${options.port}`, token: options.token });
  return { operator, events: new EventLog(operator) };
}

/** The roots of the platform, PEM. */
export async function trustAnchors(operator: OperatorClient): Promise<string> {
  const { authorities } = await operator.get<{ authorities: Authority[] }>('/v1/authorities');
  return authorities
    .filter(({ kind }) => kind === 'root')
    .map(({ certificate }) => certificate)
    .join('');
}

/** Asks a health port. A process that does not answer is not ready. */
export async function askReadiness(healthPort: number): Promise<HealthReport> {
  try {
    const response = await fetch(`http://127.0.0.1:${healthPort}/ready`, {
      signal: AbortSignal.timeout(5000),
    });
    return (await response.json()) as HealthReport;
  } catch (error) {
    return { ready: false, checks: { process: { ok: false, reason: String(error) } } };
  }
}

/** Asks until the answer is ready. @throws Error with what fails, after `deadlineMs` */
export async function untilReady(
  ask: () => Promise<HealthReport>,
  deadlineMs = 30_000,
): Promise<HealthReport> {
  const late = performance.now() + deadlineMs;
  for (;;) {
    const report = await ask();
    if (report.ready) return report;
    if (performance.now() > late)
      throw new Error(`not ready within ${deadlineMs} ms: ${JSON.stringify(report.checks)}`);
    await setTimeout(25);
  }
}
