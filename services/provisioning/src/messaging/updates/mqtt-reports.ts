import type { Bus, Subscription } from '@signet/bus';
import { parseMqttSubject, readForeignJson } from '@signet/contracts';
import type { Logger } from '@signet/service';
import { UpdateReport } from '../../domain/updates/update-event.ts';
import { type ReportDeps, takeReports } from './reports.ts';

const MAX_REPORTS = 100;

/** `up/events`: the same reports as `POST /events` takes, by devices that have a session. Broken ones are left out. */
export function listenReports({
  bus,
  log,
  ...deps
}: ReportDeps & { readonly bus: Bus; readonly log: Logger }): Promise<Subscription> {
  return bus.listen('signet.mqtt.*.*.up.events', ({ subject, payload }) => {
    const parsed = parseMqttSubject(subject);
    if (parsed === undefined) return;
    const { account, device: deviceId } = parsed;
    takeReports(deps, { account, deviceId }, reportsIn(payload)).catch((error: unknown) =>
      log.warn({ err: error, account, deviceId }, 'update events: not taken up from MQTT'),
    );
  });
}

function reportsIn(payload: Uint8Array): UpdateReport[] {
  let sent: unknown;
  try {
    sent = readForeignJson(payload, 'payload');
  } catch {
    return [];
  }
  return (Array.isArray(sent) ? sent : []).slice(0, MAX_REPORTS).flatMap((each) => {
    const report = UpdateReport.safeParse(each);
    return report.success ? [report.data] : [];
  });
}
