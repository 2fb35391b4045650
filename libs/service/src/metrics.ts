import type { Attributes, Meter } from '@opentelemetry/api';

/** Grows only. Labels never name a device, so that the number of series has a bound. */
export type Counter<L extends Attributes> = { add(labels: L, count?: number): void };
/** Seconds, by bucket. */
export type Histogram<L extends Attributes> = { observe(seconds: number, labels: L): void };

/**
 * The platform's metrics. Their Prometheus names are stable: dashboards and alerts are built on them.
 * Making them twice on one meter gives the same series.
 */
export interface Metrics {
  /** `signet_est_enrollments_total{account,outcome}`; outcome is `issued`, `renewed`, `repeated` or a refusal code. */
  readonly estEnrollments: Counter<{ account: string; outcome: string }>;
  /** `signet_est_enrollment_seconds{outcome}`: from request to answer. */
  readonly estEnrollmentSeconds: Histogram<{ outcome: string }>;
  /** `signet_bootstraps_total{account,outcome}`; outcome is `'handed-over'` or a refusal code. */
  readonly bootstraps: Counter<{ account: string; outcome: string }>;
  /** `signet_admission_seconds{listener,outcome}`: verification of a peer after its handshake. */
  readonly admissionSeconds: Histogram<{ listener: string; outcome: string }>;
  /** `signet_refusals_total{listener,code}`. */
  readonly refusals: Counter<{ listener: string; code: string }>;
  /** `signet_refusal_events_dropped_total{listener}`: refusals whose event had no room while the bus was unavailable. */
  readonly refusalEventsDropped: Counter<{ listener: string }>;
  /** `signet_revocation_to_kick_seconds{listener}`: from the revocation event to the end of the session. */
  readonly revocationToKickSeconds: Histogram<{ listener: string }>;
  /** `signet_sessions_ended_total{listener,reason}`: sessions that the platform ended. */
  readonly sessionsEnded: Counter<{ listener: string; reason: string }>;
  counter<L extends Attributes>(name: string, help: string): Counter<L>;
  histogram<L extends Attributes>(name: string, help: string): Histogram<L>;
  /** Read when metrics are collected; where it gives undefined, the sample stays what it was. End it with its owner. */
  gauge(name: string, help: string, read: () => number | undefined, labels?: Attributes): Disposable;
  /** The same for several series at a time. One that is given no more is 0. */
  gauges(name: string, help: string, read: () => Iterable<readonly [Attributes, number]>): Disposable;
}

const bounds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** The metrics on a meter of OpenTelemetry; with its no-op meter nothing is counted. */
export function createMetrics(meter: Meter): Metrics {
  const counter = <L extends Attributes>(name: string, help: string): Counter<L> => {
    const instrument = meter.createCounter<L>(name, { description: help });
    return { add: (labels, count = 1) => instrument.add(count, labels) };
  };
  const histogram = <L extends Attributes>(name: string, help: string): Histogram<L> => {
    const instrument = meter.createHistogram<L>(name, {
      description: help,
      advice: { explicitBucketBoundaries: bounds },
    });
    return { observe: (seconds, labels) => instrument.record(seconds, labels) };
  };
  return {
    estEnrollments: counter('signet_est_enrollments_total', 'EST enrolments by account and outcome'),
    estEnrollmentSeconds: histogram('signet_est_enrollment_seconds', 'Time from EST request to answer'),
    bootstraps: counter('signet_bootstraps_total', 'Bootstrap handoffs by account and outcome'),
    admissionSeconds: histogram('signet_admission_seconds', 'Verification of a peer after its handshake'),
    refusals: counter('signet_refusals_total', 'Refusals by listener and code'),
    refusalEventsDropped: counter('signet_refusal_events_dropped_total', 'Refusals whose event had no room'),
    revocationToKickSeconds: histogram(
      'signet_revocation_to_kick_seconds',
      'Time from a revocation to the end of the session that it names',
    ),
    sessionsEnded: counter('signet_sessions_ended_total', 'Sessions that the platform ended'),
    counter,
    histogram,
    gauges(name, help, read) {
      const instrument = meter.createObservableGauge(name, { description: help });
      // a series that is not observed keeps its last value: one that is gone is told to be 0, once
      let before = new Map<string, Attributes>();
      const observe: Parameters<typeof instrument.addCallback>[0] = (result) => {
        const now = new Map<string, Attributes>();
        for (const [labels, value] of read()) {
          result.observe(value, labels);
          now.set(JSON.stringify(labels), labels);
        }
        for (const [key, labels] of before) if (!now.has(key)) result.observe(0, labels);
        before = now;
      };
      instrument.addCallback(observe);
      return { [Symbol.dispose]: () => instrument.removeCallback(observe) };
    },
    gauge(name, help, read, labels = {}) {
      const instrument = meter.createObservableGauge(name, { description: help });
      const observe: Parameters<typeof instrument.addCallback>[0] = (result) => {
        const value = read();
        if (value !== undefined) result.observe(value, labels);
      };
      instrument.addCallback(observe);
      return { [Symbol.dispose]: () => instrument.removeCallback(observe) };
    },
  };
}
