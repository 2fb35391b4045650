import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'rolldown';

const agent = resolve(import.meta.dirname, '..');
const repository = resolve(agent, '../..');
const run = promisify(execFile);

/** Made where a compiler is at hand, and missed only by `--key pkcs11:`. */
const OPTIONAL = 'pkcs11js';
const OLDEST_NODE = '20.19';

/**
 * Makes the package that `npm i -g` installs: the agent and all it imports in one file that Node 20.19 runs, with no
 * dependency but an optional one.
 * @param folder gets `package/` and the tarball
 * @returns path of the tarball
 */
export async function packAgent(folder: string): Promise<string> {
  const content = join(folder, 'package');
  await rm(content, { recursive: true, force: true });
  await mkdir(content, { recursive: true });
  const modules = await bundleAgent(join(content, 'signet-agent.js'));
  await writeFile(join(content, 'package.json'), await manifest());
  await writeFile(join(content, 'THIRD-PARTY-LICENSES.txt'), await licensesOf(modules));
  await copyFile(join(repository, 'LICENSE'), join(content, 'LICENSE'));
  await copyFile(join(repository, 'docs', 'guides', 'agent.md'), join(content, 'README.md'));
  for (const file of await readdir(join(repository, 'deploy', 'agent')))
    await copyFile(join(repository, 'deploy', 'agent', file), join(content, file));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder, content]);
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  if (packed === undefined) throw new Error('npm pack: made nothing');
  return join(folder, packed.filename);
}

/** The agent in one file; gives the paths of what is in it. */
export async function bundleAgent(file: string): Promise<readonly string[]> {
  const { output } = await build({
    input: join(agent, 'pack', 'entry.ts'),
    platform: 'node',
    external: [OPTIONAL],
    transform: { target: `node${OLDEST_NODE}` },
    output: { file, format: 'esm', codeSplitting: false, comments: false },
    logLevel: 'warn',
  });
  return output.flatMap((chunk) => ('modules' in chunk ? Object.keys(chunk.modules) : []));
}

async function manifest(): Promise<string> {
  const own = JSON.parse(await readFile(join(agent, 'package.json'), 'utf8'));
  const pki = JSON.parse(await readFile(join(repository, 'libs', 'pki', 'package.json'), 'utf8'));
  const { name, version, license } = own;
  return JSON.stringify(
    {
      ...{ name, version, license, type: 'module' },
      description: 'The device side of Signet: makes its key, onboards, enrols, connects, renews.',
      bin: { 'signet-agent': './signet-agent.js' },
      engines: { node: `>=${OLDEST_NODE}` },
      optionalDependencies: { [OPTIONAL]: pki.optionalDependencies[OPTIONAL] },
    },
    undefined,
    2,
  );
}

/** The licenses of the packages that are in the bundle. */
async function licensesOf(modules: readonly string[]): Promise<string> {
  const packages = modules.flatMap((path) => /^.*\/node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  const texts = [...new Set(packages)].toSorted().map(async (path) => {
    const { name, version, license } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'));
    const file = (await readdir(path)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? '' : await readFile(join(path, file), 'utf8');
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(72)}\n\n`);
}
