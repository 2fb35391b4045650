/** Settings of a device by table and key; values are TOML. */
type Tables = Map<string, Map<string, string>>;

/** What a device asks to have otherwise than is usual: TOML values, or plain text. Empty: not set. */
export type Overrides = Readonly<Record<string, Readonly<Record<string, string>>>>;

export type SotaSettings = {
  /** Base URL of the device gateway. */
  readonly gateway: string;
  /** Where the device pulls its system from. */
  readonly ostree: string;
  readonly hardwareId: string;
  /** The folder that the device keeps its files in. */
  readonly folder: string;
  readonly overrides: Overrides;
};

/** `sota.toml`, as aktualizr-lite and fioconfig read it. What the device asks for overrides the defaults. */
export function sotaToml({ gateway, ostree, hardwareId, folder, overrides }: SotaSettings): string {
  const tables = defaultTables({ gateway, ostree, hardwareId, folder });
  for (const [table, settings] of Object.entries(overrides)) {
    const merged = tables.get(table) ?? new Map<string, string>();
    for (const [key, value] of Object.entries(settings)) merged.set(key, value === '' ? '' : toml(value));
    tables.set(table, merged);
  }
  const text = [...tables].map(([table, settings]) => {
    const lines = [...settings].map(([key, value]) =>
      value === '' ? `# ${key} is not set` : `${key} = ${value}`,
    );
    return [`[${table}]`, ...lines].join('\n');
  });
  return `${text.join('\n\n')}\n`;
}

function defaultTables({ gateway, ostree, hardwareId, folder }: Omit<SotaSettings, 'overrides'>): Tables {
  const table = (settings: Readonly<Record<string, string>>) =>
    new Map(Object.entries(settings).map(([key, text]) => [key, JSON.stringify(text)]));
  return new Map([
    ['tls', table({ server: gateway, ca_source: 'file', pkey_source: 'file', cert_source: 'file' })],
    ['provision', table({ server: gateway, primary_ecu_hardware_id: hardwareId })],
    ['uptane', table({ repo_server: `${gateway}/repo`, key_source: 'file' })],
    ['pacman', table({ type: 'ostree+compose_apps', ostree_server: ostree })],
    ['storage', table({ type: 'sqlite', path: `${folder}/` })],
    [
      'import',
      table({
        tls_cacert_path: `${folder}/root.crt`,
        tls_pkey_path: `${folder}/pkey.pem`,
        tls_clientcert_path: `${folder}/client.pem`,
      }),
    ],
  ]);
}

/** A basic string, a boolean or a number on one line: nothing that could end its line. */
const scalar =
  /^("([^"\\\p{Cc}]|\\["\\bfnrt]|\\u[0-9a-fA-F]{4})*"|true|false|[+-]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?)$/u;

/** A value as it was sent if it is one of TOML, else as a string. */
function toml(value: string): string {
  return scalar.test(value) ? value : JSON.stringify(value).replaceAll('\u007f', '\\u007f');
}
