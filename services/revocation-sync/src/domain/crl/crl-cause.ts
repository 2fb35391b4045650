/** Under what a part of a CRL source denies: what leaves its CRL is lifted under the same. */
export function crlCause(sourceId: string, part: string): string {
  return `CRL ${sourceId} ${part}`;
}

/** The source that a hold is of; undefined where it is of none. */
export function sourceOfCause(cause: string): string | undefined {
  return /^CRL ([a-z0-9-]+\.[a-z0-9-]+) ./.exec(cause)?.[1];
}
