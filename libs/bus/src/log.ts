/** Where a bus says what went wrong. A pino logger is one. */
export type Log = {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
};

export const silent: Log = { info: () => {}, warn: () => {}, error: () => {} };
