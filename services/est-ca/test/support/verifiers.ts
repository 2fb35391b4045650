import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireServer } from '@signet/tests/servers';
import { run } from './run.ts';

const [openssl, go, javac, certtool] = (['openssl', 'go', 'javac', 'certtool'] as const).map(
  requireServer,
) as [string, string, string, string];

/** Whether all of them are here. */
export const verifiersAreHere = [openssl, go, javac, certtool].every((path) => path !== '');

/** PEM. `between`: in the order in which a TLS peer sends it. */
export type Shown = {
  readonly leaf: string;
  readonly between: readonly string[];
  readonly anchors: readonly string[];
  readonly as?: 'client' | 'server';
};

export type Verdicts = { readonly [by in 'openssl' | 'go' | 'java' | 'gnutls']: string };
export type Verifiers = AsyncDisposable & {
  /** What each of them says: `good`, or why not. */
  verify(shown: Shown): Promise<Verdicts>;
};

export const allGood: Verdicts = { openssl: 'good', go: 'good', java: 'good', gnutls: 'good' };

/** OpenSSL (strict), Go, Java and GnuTLS, each verifying as its users do. */
export async function openVerifiers(): Promise<Verifiers> {
  const folder = await mkdtemp(join(tmpdir(), 'signet-verifiers-'));
  const sources = join(import.meta.dirname, '..', 'verifiers');
  const built = [
    await run(go, ['build', '-o', 'go-verify', join(sources, 'main.go')], { cwd: folder }),
    await run(javac, ['-d', '.', join(sources, 'Verify.java')], { cwd: folder }),
  ];
  for (const { code, stderr } of built) if (code !== 0) throw new Error(stderr);
  const java = javac.replace(/javac$/, 'java');
  return {
    async verify({ leaf, between, anchors, as = 'client' }) {
      const cwd = await mkdtemp(join(folder, 'chain-'));
      await writeFile(join(cwd, 'leaf.pem'), leaf);
      await writeFile(join(cwd, 'between.pem'), between.join(''));
      await writeFile(join(cwd, 'anchors.pem'), anchors.join(''));
      await writeFile(join(cwd, 'chain.pem'), leaf + between.join(''));
      const says = async (program: string, args: readonly string[]) => {
        const { code, stdout, stderr } = await run(program, args, { cwd });
        return code === 0 ? 'good' : `${stdout.toString()}${stderr}`.trim().replace(/\s+/g, ' ');
      };
      const files = ['anchors.pem', 'between.pem', 'leaf.pem'];
      const untrusted = between.length === 0 ? [] : ['-untrusted', 'between.pem'];
      const strict = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', 'anchors.pem'];
      const jvm = ['-XX:TieredStopAtLevel=1', '-cp', folder, 'Verify'];
      const load = ['--verify', '--load-ca-certificate', 'anchors.pem', '--infile', 'chain.pem'];
      const [byOpenssl, byGo, byJava, byGnutls] = await Promise.all([
        says(openssl, [...strict, ...untrusted, 'leaf.pem']),
        says(join(folder, 'go-verify'), files),
        says(java, [...jvm, ...files, as]),
        says(certtool, load),
      ]);
      return { openssl: byOpenssl, go: byGo, java: byJava, gnutls: byGnutls };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
