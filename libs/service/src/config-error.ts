import { CodedError } from '@signet/contracts';

export type ConfigProblem = {
  readonly variable: string;
  /** Why its value cannot be used. Never the value: it may be a secret. */
  readonly reason: string;
};

/** The environment does not describe a service that can start. The message has one line for each variable. */
export class ConfigError extends CodedError<'invalid-config'> {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('invalid-config', problems.map(({ variable, reason }) => `${variable}: ${reason}`).join('\n'));
    this.problems = problems;
  }
}
