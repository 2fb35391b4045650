import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import { originOf, publicHost } from './public-url.ts';

/** A configuration: the keys of the object are the environment variables themselves. */
export type ConfigSchema = z.ZodObject<Record<string, z.ZodType>>;

/** Environment as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses the environment once, at start. An empty value counts as absent. A variable made by {@link secret} may be given
 * as `<VARIABLE>_FILE` instead, the path of a file that holds it (a trailing line end is dropped).
 * @throws ConfigError with one problem for each wrong variable
 */
export function parseConfig<S extends ConfigSchema>(schema: S, env: Environment): z.output<S> {
  const problems: ConfigProblem[] = [];
  const values: Record<string, string> = {};
  for (const [variable, field] of Object.entries(schema.shape)) {
    try {
      const value = readVariable(variable, isSecret(field), env, schema);
      const given = value ?? followedPort(field, schema, env);
      if (given !== undefined) values[variable] = given;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  const parsed = schema.safeParse(values);
  const unread = new Set(problems.map(({ variable }) => variable.replace(/_FILE$/, '')));
  for (const issue of parsed.error?.issues ?? []) {
    const variable = String(issue.path[0] ?? 'SIGNET');
    if (unread.has(variable)) continue;
    const absent = issue.code === 'invalid_type' && values[variable] === undefined;
    problems.push({ variable, reason: absent ? 'required, but not set' : issue.message });
  }
  if (parsed.data === undefined || problems.length > 0) throw new ConfigError(onePerVariable(problems));
  return parsed.data;
}

const FOLLOWS = 'signetFollowsPort';
type Followed = { readonly port: string; readonly scheme: string; readonly host?: string };

/**
 * Marks a URL of one of our own listeners: where the port of that listener is moved and the URL is not set, the URL goes
 * with it, on the first of SIGNET_SERVER_NAMES (or `host`). Its default is that of the listener's usual port.
 */
export const followsPort = <T extends z.ZodType>(field: T, followed: Followed): T =>
  field.meta({ [FOLLOWS]: followed });

/** Of a URL that is not set; undefined where its default holds. */
function followedPort(field: z.ZodType, { shape }: ConfigSchema, env: Environment): string | undefined {
  const followed = z.globalRegistry.get(field)?.[FOLLOWS] as Followed | undefined;
  if (followed === undefined) return undefined;
  const usual = new URL(String(field.parse(undefined)));
  const moved = env[followed.port] ?? '';
  // 0 is chosen by the system: whoever starts the listener knows it; what is no port is refused where it is read
  const port = /^[1-9]\d{0,4}$/.test(moved) && Number(moved) <= 65_535 ? Number(moved) : Number(usual.port);
  const names = shape.SIGNET_SERVER_NAMES?.safeParse(env.SIGNET_SERVER_NAMES || undefined).data;
  const host = followed.host ?? publicHost(Array.isArray(names) ? names : []);
  return originOf(followed.scheme, host, port);
}

export type ConfigRow = {
  readonly variable: string;
  /** As it would be written in the environment; undefined where there is none. */
  readonly default: string | undefined;
  readonly required: boolean;
  /** Whether `<VARIABLE>_FILE` is read too. */
  readonly secret: boolean;
  readonly meaning: string;
};

/** What a schema reads, for the reference in the docs. */
export function describeConfig(schema: ConfigSchema): readonly ConfigRow[] {
  return Object.entries(schema.shape).map(([variable, field]) => {
    const absent = field.safeParse(undefined);
    return {
      variable,
      default: absent.success ? defaultText(absent.data) : undefined,
      required: !absent.success,
      secret: isSecret(field),
      meaning: field.description ?? '',
    };
  });
}

/** A TCP port; 0 lets the system choose. */
export const port = (byDefault: number) =>
  z.coerce
    .number('must be a port number')
    .int('must be a port number')
    .min(0, 'must be a port number, 0 to 65535')
    .max(65_535, 'must be a port number, 0 to 65535')
    .default(byDefault);

/** A whole number between two bounds, inclusive. */
export const wholeNumber = (byDefault: number, min: number, max: number = Number.MAX_SAFE_INTEGER) =>
  z.coerce
    .number('must be a whole number')
    .int('must be a whole number')
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`)
    .default(byDefault);

/** `true` or `false`. */
export const flag = (byDefault: boolean) =>
  z
    .enum(['true', 'false'], 'must be "true" or "false"')
    .default(byDefault ? 'true' : 'false')
    .transform((text) => text === 'true');

/** Values separated by commas. */
export const list = (byDefault: string) =>
  z
    .string()
    .default(byDefault)
    .transform((text) => text.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()])));

/** A string that is never logged, and may come from a file. Optional; whatever is made of it stays a secret. */
export const secret = () => carriesSecret(z.string()).optional();

/** Marks a value that has a secret in it, such as a URL with a password: it may come from a file too. */
export const carriesSecret = <T extends z.ZodType>(field: T): T => field.meta({ [SECRET]: true });

const SECRET = 'signetSecret';

/** Also where the mark is below `.optional()`, `.default()` or `.transform()`, which make a new type around it. */
function isSecret(field: z.ZodType): boolean {
  if (z.globalRegistry.get(field)?.[SECRET] === true) return true;
  const { innerType, in: input } = field.def as { readonly innerType?: z.ZodType; readonly in?: z.ZodType };
  return [innerType, input].some((inner) => inner !== undefined && isSecret(inner));
}

function readVariable(
  variable: string,
  mayBeFile: boolean,
  env: Environment,
  { shape }: ConfigSchema,
): string | undefined {
  const value = env[variable] === '' ? undefined : env[variable];
  const fileVariable = `${variable}_FILE`;
  const path = fileVariable in shape ? undefined : env[fileVariable];
  if (path === undefined || path === '') return value;
  if (!mayBeFile)
    throw new ConfigError([
      { variable: fileVariable, reason: `is not read: only a secret may come from a file; set ${variable}` },
    ]);
  if (value !== undefined) {
    throw new ConfigError([
      { variable: fileVariable, reason: `set together with ${variable}: give one of them` },
    ]);
  }
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError([{ variable: fileVariable, reason: `cannot read the file "${path}" (${code})` }]);
  }
}

function onePerVariable(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const reasons = new Map<string, string[]>();
  for (const { variable, reason } of problems) {
    reasons.set(variable, [...(reasons.get(variable) ?? []), reason]);
  }
  return Array.from(reasons, ([variable, list]) => ({ variable, reason: list.join('; ') }));
}

function defaultText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return Array.isArray(value) ? value.join(',') : String(value);
}
