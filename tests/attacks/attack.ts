import type { EventLog, LogLine, OperatorClient, Ports } from '@signet/dev-env';

/** A running platform as an attacker meets it, and what the test needs to see of it. */
export interface Target {
  /** The ports of its listeners on localhost. */
  readonly ports: Ports & { readonly health: number };
  /** The administrator of the platform; other operators are made with it. */
  readonly operator: OperatorClient;
  readonly events: EventLog;
  /** The roots of the platform, PEM. */
  readonly roots: string;
  /** The data folder of the platform. */
  readonly dataDir: string;
  /** A folder for the attack's own files, removed at the end. */
  readonly folder: string;
  /** All lines of the platform's log until now. */
  log(): Promise<readonly LogLine[]>;
}

/** A platform that one attack has for itself: it may kill and restart it, also with another environment. */
export interface OwnTarget extends Target {
  readonly pid: number;
  /** Ends the process, by default without warning. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on its data folder and on the ports that it had. */
  start(environment?: Readonly<Record<string, string>>): Promise<void>;
}

type Description = {
  /** The section of docs/security/advisories.md. */
  readonly number: number;
  /** What a user sees, in one plain sentence; the name of the test. */
  readonly title: string;
  /** What the attacker tries, in one plain sentence. */
  readonly tries: string;
};

/** Meets the platform that all such attacks share: it must leave it as good as it was. */
export type SharedAttack = Description & {
  readonly platform?: never;
  /** Attacks. @throws where the attack succeeds, or is stopped otherwise than said */
  run(target: Target): Promise<void>;
};

/** Meets a platform of its own, with its own settings, because it fills, stops or damages it. */
export type OwnAttack = Description & {
  /** `SIGNET_…` variables, besides those of every attack. */
  readonly platform: { readonly environment?: Readonly<Record<string, string>> };
  run(target: OwnTarget): Promise<void>;
};

export type Attack = SharedAttack | OwnAttack;

const DEADLINE_MS = 60_000;
const PAUSE_MS = 50;

/** Asks again until `check` does not throw; its last error once `deadlineMs` are over. */
export async function until<T>(check: () => T | Promise<T>, deadlineMs = DEADLINE_MS): Promise<T> {
  const late = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > late) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
