/** Bounds how often something may be tried within a window of time. */
export type AttemptLimit = {
  /** Counts one attempt under this key. False: one too many. */
  allows(key: string): Promise<boolean>;
};
