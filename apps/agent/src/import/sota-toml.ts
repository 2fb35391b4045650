import { isAbsolute, join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { AgentError } from '../agent-error.ts';

/** Where a private key or certificate is. */
export type Source =
  | { readonly kind: 'file'; readonly setting: string; readonly path: string }
  | { readonly kind: 'pkcs11'; readonly setting: string };

/** What `sota.toml` says that an agent needs. */
export type SotaSettings = {
  /** URL of the device gateway; or the file that has it. */
  readonly server: { readonly url: string } | { readonly path: string };
  readonly trust: string;
  readonly key: Source;
  readonly certificate: Source;
  readonly token: { readonly module: string; readonly label: string; readonly pin: string } | undefined;
  /** Settings that mean nothing to this agent, as `section.key`. */
  readonly ignored: readonly string[];
};

/** The label of the token where `[p11]` has none, as the original clients have it. */
const TOKEN_LABEL = 'aktualizr';

/**
 * Reads `sota.toml` as aktualizr-lite and fioconfig do: `[tls]`, `[import]`, `[p11]`.
 * @throws AgentError `bad-import` naming section and key
 */
export function readSotaToml(text: string): SotaSettings {
  const settings = new Settings(tables(text));
  const keyKind = settings.source('pkey_source');
  const certificateKind = settings.source('cert_source');
  if (settings.source('ca_source') === 'pkcs11')
    throw bad('tls.ca_source', 'roots in a token are not supported: copy them into a file');
  const url = settings.text('tls.server') ?? settings.text('provision.server');
  const urlPath = settings.text('tls.server_url_path');
  if (url === undefined && urlPath === undefined)
    throw bad('tls.server', 'missing: the URL of the device gateway');
  const token = [keyKind, certificateKind].includes('pkcs11')
    ? {
        module: settings.required('p11.module'),
        label: settings.text('p11.label') ?? TOKEN_LABEL,
        pin: settings.required('p11.pass'),
      }
    : undefined;
  return {
    server: url === undefined ? { path: settings.path('tls.server_url_path') } : { url },
    trust: settings.path('import.tls_cacert_path'),
    key: settings.place(keyKind, 'import.tls_pkey_path', 'p11.tls_pkey_id'),
    certificate: settings.place(certificateKind, 'import.tls_clientcert_path', 'p11.tls_clientcert_id'),
    token,
    ignored: settings.unread(),
  };
}

/** A setting that cannot be followed. */
export function bad(setting: string, reason: string, cause?: unknown): AgentError {
  return new AgentError('bad-import', `sota.toml: ${setting}: ${reason}`, { cause });
}

type Tables = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function tables(text: string): Tables {
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [reason = ''] = cause.message.split('\n');
    throw bad(`line ${cause.line}`, reason.replace('Invalid TOML document: ', ''), cause);
  }
  const flat = Object.keys(document).find((name) => !isTable(document[name]));
  if (flat !== undefined) throw bad(flat, 'stands in no section');
  return document as Tables;
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The settings, and which of them were asked for. */
class Settings {
  readonly #tables: Tables;
  readonly #read = new Set<string>(['import.base_path', 'provision.server']);

  constructor(read: Tables) {
    this.#tables = read;
  }

  /** Undefined where it is missing or empty. */
  text(setting: string): string | undefined {
    const [section = '', key = ''] = setting.split('.');
    this.#read.add(setting);
    const value = this.#tables[section]?.[key];
    if (value === undefined || value === '') return undefined;
    if (typeof value !== 'string') throw bad(setting, `a text is expected, not ${JSON.stringify(value)}`);
    return value;
  }

  required(setting: string): string {
    const value = this.text(setting);
    if (value === undefined) throw bad(setting, 'missing');
    return value;
  }

  /** A path; below `import.base_path` where it is relative. */
  path(setting: string): string {
    const path = this.required(setting);
    const base = this.text('import.base_path');
    if (isAbsolute(path)) return path;
    if (base === undefined) throw bad(setting, `"${path}" is relative, and import.base_path is missing`);
    return join(base, path);
  }

  source(key: 'pkey_source' | 'cert_source' | 'ca_source'): 'file' | 'pkcs11' {
    const value = this.text(`tls.${key}`) ?? 'file';
    if (value !== 'file' && value !== 'pkcs11')
      throw bad(`tls.${key}`, `"${value}" is neither file nor pkcs11`);
    return value;
  }

  place(kind: 'file' | 'pkcs11', inFile: string, inToken: string): Source {
    if (kind === 'file') return { kind, setting: inFile, path: this.path(inFile) };
    this.required(inToken);
    return { kind, setting: inToken };
  }

  unread(): readonly string[] {
    const all = Object.entries(this.#tables).flatMap(([section, table]) =>
      Object.keys(table).map((key) => `${section}.${key}`),
    );
    return all.filter((setting) => !this.#read.has(setting));
  }
}
