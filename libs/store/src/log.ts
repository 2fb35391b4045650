/** Where a store reports what it works around; a pino logger fits. */
export type Log = {
  warn(details: object, message: string): void;
  info?(details: object, message: string): void;
};

export const SILENT: Log = { warn: () => {} };
