import { bringCopies } from '../guides/sandbox.ts';
import { type Brought, type BuiltServer, bringBinary, onPath } from './binaries.ts';
import type { RunningServer } from './child.ts';
import { bringClient } from './clients.ts';
import { type ContainerServer, containerEngine, startContainer } from './containers.ts';
import { bringPackages } from './debian.ts';
import { bringJavaServer } from './java.ts';
import { bringPython } from './python.ts';
import { type Requirement, requirements } from './requirements.ts';
import { bringMount } from './small-disk.ts';
import { exchange, mongoUrlAnswers, startFerretdb, startNats, startRedis } from './start.ts';

export type Tools = ReadonlyMap<Requirement, Brought>;

/** What was brought: the environment that tests read it from, and the servers that were started for it. */
export type Surroundings = AsyncDisposable & {
  readonly env: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
};

type Say = (line: string) => void;

/** Brings executables: Debian packages where it may, servers built with Go; says a line for each. */
export function bringTools(say: Say): Tools {
  const tools = new Map<Requirement, Brought>();
  const tell = (label: string, brought: Brought) =>
    say('missing' in brought ? `missing  ${brought.missing}` : `${label.padEnd(28)} ${brought.how}`);
  const packages = bringPackages();
  for (const [name, brought] of packages) tell(name, brought);
  const none: Brought = { missing: 'not brought' };
  // `pki` speaks HTTP by the extra plugins (curl) and P-256 by the standard ones (openssl)
  const strongswan = (
    ['libstrongswan-extra-plugins', 'libstrongswan-standard-plugins', 'strongswan-pki'] as const
  ).map((name) => packages.get(name) ?? none);
  tools.set('redis-server', packages.get('redis-server') ?? none);
  tools.set('mosquitto', packages.get('mosquitto-clients') ?? none);
  tools.set('mosquitto-broker', packages.get('mosquitto') ?? none);
  tools.set('strongswan', strongswan.find((brought) => 'missing' in brought) ?? strongswan.at(-1) ?? none);
  tools.set('openssl', packages.get('openssl') ?? none);
  tools.set('softhsm', packages.get('softhsm2') ?? none);
  tools.set('pkcs11-engine', packages.get('libengine-pkcs11-openssl') ?? none);
  const tpm = (['swtpm-tools', 'tpm2-tools', 'tpm2-openssl', 'libtss2-tcti-mssim0', 'swtpm'] as const).map(
    (name) => packages.get(name) ?? none,
  );
  tools.set('swtpm', tpm.find((brought) => 'missing' in brought) ?? tpm.at(-1) ?? none);
  tools.set('curl', packages.get('curl') ?? none);
  tools.set('nginx', packages.get('nginx-light') ?? none);
  tools.set('systemd-analyze', packages.get('systemd') ?? none);
  tools.set('chromium', packages.get('chromium') ?? none);
  tools.set('faketime', packages.get('faketime') ?? none);
  tools.set('mount', bringMount());
  tools.set('unshare', bringCopies());
  tools.set('keytool', packages.get('default-jre-headless') ?? none);
  tools.set('javac', packages.get('default-jdk-headless') ?? none);
  tools.set('certtool', packages.get('gnutls-bin') ?? none);
  const python = bringPython(say);
  tell('python', python);
  tools.set('python', python);
  const go = onPath('go');
  tools.set('go', go === undefined ? { missing: 'go: not on the path' } : { path: go, how: 'here already' });
  for (const name of ['nats-server', 'ferretdb'] as const satisfies readonly BuiltServer[]) {
    const given = process.env[requirements[name]];
    const brought = given === undefined ? bringBinary(name, say) : { path: given, how: 'as given' };
    tell(name, brought);
    tools.set(name, brought);
  }
  const java = process.env[requirements['mongo-java-server']];
  const atomic =
    java === undefined ? bringJavaServer('mongo-java-server', say) : { path: java, how: 'as given' };
  tell('mongo-java-server', atomic);
  tools.set('mongo-java-server', atomic);
  for (const name of ['paho', 'rumqttc'] as const) {
    const given = process.env[requirements[name]];
    const brought = given === undefined ? bringClient(name, say) : { path: given, how: 'as given' };
    tell(name, brought);
    tools.set(name, brought);
  }
  return tools;
}

const servers = {
  nats: { tool: 'nats-server', start: startNats },
  mongo: { tool: 'ferretdb', start: startFerretdb },
  redis: { tool: 'redis-server', start: startRedis },
} as const satisfies Record<ContainerServer, { tool: Requirement; start: typeof startNats }>;

/** Starts what the tests share, or takes the servers that the environment gives. */
export async function bringSurroundings(say: Say): Promise<Surroundings> {
  const tools = bringTools(say);
  const env: Record<string, string> = {};
  const missing: string[] = [];
  await using started = new AsyncDisposableStack();
  for (const [name, brought] of tools) {
    if ('missing' in brought) missing.push(brought.missing);
    else env[requirements[name]] = brought.path;
  }
  for (const name of Object.keys(servers) as ContainerServer[]) {
    const variable = requirements[name];
    try {
      const given = process.env[variable];
      if (given !== undefined && !(await answersAt(name, given))) throw new Error(`${given} does not answer`);
      const server = given === undefined ? await start(name, tools) : undefined;
      if (server !== undefined) started.use(server);
      env[variable] = server?.url ?? given ?? '';
      say(`${name.padEnd(28)} ${server === undefined ? 'as given' : `started, ${server.url}`}`);
    } catch (error) {
      missing.push(`${name}: ${(error as Error).message}`);
      say(`missing  ${missing.at(-1)}`);
    }
  }
  const owned = started.move();
  return { env, missing, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function start(name: ContainerServer, tools: Tools): Promise<RunningServer> {
  const tool = tools.get(servers[name].tool) ?? { missing: 'not brought' };
  if (!('missing' in tool)) return servers[name].start(tool.path);
  const engine = containerEngine();
  if (engine === undefined) throw new Error(`${tool.missing}, and no container engine`);
  return startContainer(engine, name);
}

async function answersAt(name: ContainerServer, url: string): Promise<boolean> {
  if (name === 'mongo') return mongoUrlAnswers(url);
  const { hostname, port } = new URL(url);
  const [fallback, say, expect] =
    name === 'nats' ? ([4222, '', /^INFO \{/] as const) : ([6379, 'PING\r\n', /^(\+PONG|-NOAUTH)/] as const);
  return exchange(Number(port || fallback), say, expect, hostname);
}
