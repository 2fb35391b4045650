import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, DeviceFolder, type Identity, leaf, requestHandoff } from '@signet/agent';
import type { AuthorityDetails } from '@signet/contracts';
import type { DevEnv } from '@signet/dev-env';
import {
  type Certificate,
  createTemplate,
  exportSpki,
  generateKeyPair,
  issue,
  issueRoot,
  keySigner,
  NO_END,
  prepare,
  type Signer,
} from '@signet/pki';
import { expect, vi } from 'vitest';
import type { Done, Terminal } from './signet.ts';

/** A CA that Signet knows nothing of. */
export type Manufacturer = {
  readonly certificate: Certificate;
  readonly signer: Signer;
  readonly name: string;
};

/** What a manufacturer's line does without a network, and what its devices are answered. */
export function manufacturing(env: DevEnv, terminal: Terminal, trust: string) {
  const url = `https://localhost:${env.ports.bootstrap}`;

  /** Leaves `<name>.pem` and its key, `<name>.key`. */
  async function manufacturer(name: string): Promise<Manufacturer> {
    const { privateKey } = generateKeyPair('P-256');
    const signer = keySigner(privateKey);
    const certificate = await issueRoot({
      ...{
        subject: { commonName: `${name} CA` },
        signer,
        issuedAt: Date.now(),
        notAfter: NO_END,
        pathLen: 0,
      },
    });
    await writeFile(join(terminal.folder, `${name}.pem`), certificate.pem());
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(terminal.folder, `${name}.key`), key);
    return { certificate, signer, name };
  }

  /** A device made offline: its certificate, and its folder as the manufacturer would fill it. */
  async function device(by: Manufacturer, id: string, serialNumber = id) {
    const { privateKey, publicKey } = generateKeyPair('P-256');
    const linted = prepare(createTemplate({ kind: 'bootstrap', issuer: by.certificate }), {
      subject: { commonName: id, serialNumber },
      spkiDer: exportSpki(publicKey),
      issuedAt: Date.now(),
      notAfter: NO_END,
    });
    const certificate = (await issue(linted, by.signer)).pem();
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const folder = new DeviceFolder(
      join(terminal.folder, 'devices', `${id}-${serialNumber}-${Math.random()}`),
    );
    await folder.putFactoryFiles({ key, certificate, trust, url });
    return { folder, identity: { key, certificate }, fingerprint: leaf({ key, certificate }).fingerprint };
  }

  /** What a device is answered that asks for its handoff. */
  async function asks(identity: Identity): Promise<string> {
    try {
      return (await requestHandoff({ url, identity, trust })).kind;
    } catch (error) {
      if (error instanceof AgentError) return error.message;
      throw error;
    }
  }

  const until = (identity: Identity, answer: string | RegExp) =>
    vi.waitFor(async () => expect(await asks(identity)).toMatch(answer), { timeout: 5000, interval: 100 });

  const registered = async (ca: Manufacturer, ...more: string[]) =>
    told<AuthorityDetails>(
      await terminal.signet(
        ...['factory', 'ca', 'add', `${ca.name}.pem`, '--key', `${ca.name}.key`, ...more, '--json'],
      ),
    );

  return { manufacturer, device, asks, until, registered };
}

/** The values of a list that a command printed with --json, a line each. */
export function toldAll<T>({ code, out, err }: Done): T[] {
  expect(err).toBe('');
  expect(code).toBe(0);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

/** What a command that went well said, as JSON. */
export function told<T>({ code, out, err }: Done): T {
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out.trim()) as T;
}
