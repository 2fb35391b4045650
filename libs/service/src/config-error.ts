export type ConfigProblem = {
  readonly variable: string;
  /** Why its value cannot be used. Never the value: it may be a secret. */
  readonly reason: string;
};

/** The environment does not describe a service that can start. The message has one line for each variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'invalid-config';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ variable, reason }) => `${variable}: ${reason}`).join('\n'));
    this.problems = problems;
  }
}
