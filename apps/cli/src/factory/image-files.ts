import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceFolder } from '@signet/agent';
import { decodePemBlocks, encodePem, parseCertificatePem } from '@signet/pki';
import { CliError } from '../cli-error.ts';
import { readText } from '../read-input.ts';

/** A file of an image. `mode` in octal digits. */
export type ImageFile = { readonly path: string; readonly mode: string; readonly text: string };

const UNIT = '/etc/systemd/system/signet-agent.service';

/**
 * The files that let a device onboard unattended: certificate, chain, anchor, the bootstrap URL, and the unit that
 * starts the agent. `source`: a device folder, or the certificate file of a device that keeps its key itself; that
 * device's key has to lie in `path` as `bootstrap.key`.
 */
export async function imageFiles(
  source: string,
  options: { readonly path: string; readonly bootstrap: string; readonly agent: string },
): Promise<ImageFile[]> {
  const { path } = options;
  const own = await ownFiles(source, options.bootstrap);
  return [
    ...own.map(({ name, text }) => ({
      path: `${path.replace(/\/+$/, '')}/${name}`,
      mode: name.endsWith('.key') ? '0600' : '0644',
      text,
    })),
    { path: UNIT, mode: '0644', text: unitOf(options) },
  ];
}

async function ownFiles(source: string, url: string): Promise<{ name: string; text: string }[]> {
  if ((await stat(source).catch(() => undefined))?.isDirectory() === true) {
    await new DeviceFolder(source).factoryFiles();
    const names = ['bootstrap.key', 'bootstrap.crt', 'trust.pem', 'bootstrap.json'];
    return Promise.all(
      names.map(async (name) => ({ name, text: await readFile(join(source, name), 'utf8') })),
    );
  }
  const text = await readText(source);
  const chain = decodePemBlocks(text)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => encodePem('CERTIFICATE', der));
  const anchors = chain.filter(isRoot);
  const own = chain.filter((certificate) => !anchors.includes(certificate));
  if (anchors.length === 0 || own.length === 0)
    throw new CliError(`${source}: needs the certificate, its issuers and the roots`);
  return [
    { name: 'bootstrap.crt', text: own.join('') },
    { name: 'trust.pem', text: anchors.join('') },
    { name: 'bootstrap.json', text: `${JSON.stringify({ url }, undefined, 2)}\n` },
  ];
}

function isRoot(pem: string): boolean {
  const { subjectDer, issuerDer } = parseCertificatePem(pem);
  return Buffer.compare(subjectDer, issuerDer) === 0;
}

function unitOf({ path, agent }: { path: string; agent: string }): string {
  return `[Unit]
Description=Signet agent: onboards this device, keeps it connected
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${agent} --folder ${path} run
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
`;
}

/** A `%post` section of a kickstart file that writes the files. Its body is plain POSIX shell. */
export function kickstart(files: readonly ImageFile[]): string {
  const body = files.flatMap(({ path, mode, text }) => [
    `mkdir -p '${dirOf(path)}'`,
    `umask 077; cat > '${path}' <<'SIGNET_EOF'`,
    `${text.trimEnd()}`,
    'SIGNET_EOF',
    `chmod ${mode} '${path}'`,
  ]);
  return ['%post --erroronfail', 'set -e', ...body, 'systemctl enable signet-agent.service', '%end', ''].join(
    '\n',
  );
}

/** A `#cloud-config` that writes the files and starts the agent. */
export function cloudInit(files: readonly ImageFile[]): string {
  const entries = files.flatMap(({ path, mode, text }) => [
    `  - path: ${JSON.stringify(path)}`,
    '    owner: root:root',
    `    permissions: '${mode}'`,
    '    content: |',
    ...text
      .trimEnd()
      .split('\n')
      .map((line) => (line === '' ? '' : `      ${line}`)),
  ]);
  const run = '  - [systemctl, enable, --now, signet-agent.service]';
  return ['#cloud-config', 'write_files:', ...entries, 'runcmd:', run, ''].join('\n');
}

function dirOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}
