import type { Subscription } from '@signet/bus';
import { parseMqttSubject, readForeignJson } from '@signet/contracts';
import type { Context } from '../context.ts';
import { takeReports } from '../domain/updates/reports.ts';
import { UpdateReport } from '../domain/updates/update-event.ts';

const MAX_REPORTS = 100;

/**
 * `up/events`: devices that have an MQTT session send the same reports that `POST /events` takes. Malformed reports are
 * skipped.
 */
export function listenReports(ctx: Context): Promise<Subscription> {
  return ctx.bus.listen('signet.mqtt.*.*.up.events', ({ subject, payload }) => {
    const parsed = parseMqttSubject(subject);
    if (parsed === undefined) return;
    const { account, device: deviceId } = parsed;
    takeReports(ctx, { device: { account, deviceId }, reports: reportsIn(payload) }).catch((error: unknown) =>
      ctx.log.warn({ err: error, account, deviceId }, 'update events: failed to store reports from MQTT'),
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
