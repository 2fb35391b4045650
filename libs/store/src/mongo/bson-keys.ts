/** Field names that MongoDB, its driver or databases that speak its protocol take for something else. */
const SPECIAL = /[.$%\0]|^_bsontype$/;

function escapeName(name: string): string {
  if (!SPECIAL.test(name)) return name;
  return name.replace(
    /[.$%\0]|^_/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function unescapeName(name: string): string {
  return name.includes('%') ? decodeURIComponent(name) : name;
}

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [rename(name), renamed(item, rename)]),
  );
}

/** A JSON value whose field names any such database takes: `.`, `$`, `%` and NUL percent-encoded. */
export function escapeKeys(value: unknown): unknown {
  return renamed(value, escapeName);
}

/** The inverse of {@link escapeKeys}. */
export function unescapeKeys(value: unknown): unknown {
  return renamed(value, unescapeName);
}
