import { randomUUID } from 'node:crypto';
import { generateKeyPair, type KeyPair, parseCertificatePem } from '@signet/pki';
import type { Answer } from './bootstrap-fixture.ts';
import { type Identity, keyPem, type RegistrationFixture, requestFor } from './registration-fixture.ts';

const BASE = '/api/flotta-management/v1';

export const hardware = {
  boot: { current_boot_mode: 'uefi' },
  cpu: { architecture: 'x86_64', count: 4, flags: [], model_name: 'Intel(R) Atom(TM) x6413E' },
  disks: null,
  gpus: null,
  host_devices: null,
  hostname: 'edge-7',
  interfaces: [{ flags: ['up'], ipv4_addresses: ['192.0.2.7/24'], mac_address: '52:54:00:00:00:07' }],
  memory: { physical_bytes: 8_589_934_592, usable_bytes: 8_142_016_512 },
  mounts: null,
  system_vendor: { manufacturer: 'ACME', product_name: 'Edge 200', serial_number: 'SN-7' },
};

/**
 * Does what flotta-device-worker does behind yggdrasild: the same messages in the same order, a new key for every
 * attempt with the registration certificate, its own key again for a renewal.
 */
export class FlottaWorker {
  readonly #fixture: RegistrationFixture;
  readonly deviceId: string;
  readonly namespace: string;
  identity: Identity;
  #keys: KeyPair | undefined;

  constructor(fixture: RegistrationFixture, deviceId: string, registration: Identity, namespace = 'default') {
    this.#fixture = fixture;
    this.deviceId = deviceId;
    this.identity = registration;
    this.namespace = namespace;
  }

  /** Whether it holds the registration certificate, as it finds out itself: by the CN. */
  get isNew(): boolean {
    return parseCertificatePem(this.identity.cert).subject.commonName === 'register';
  }

  /** One round of its loop: the statuses of what it sent. */
  async registerOnce(): Promise<readonly number[]> {
    const enrolled = await this.send('enrolment', {
      features: { hardware },
      target_namespace: this.namespace,
    });
    if (enrolled.status !== 208) return [enrolled.status];
    const keys = this.isNew ? generateKeyPair('P-256') : (this.#keys as KeyPair);
    const answer = await this.send('registration', {
      certificate_request: requestFor(this.deviceId, keys),
      hardware,
    });
    if (answer.status < 300) {
      this.#keys = keys;
      this.identity = { cert: answer.body.content.certificate, key: keyPem(keys) };
    }
    return [enrolled.status, answer.status];
  }

  heartbeat(): Promise<Answer> {
    return this.send('heartbeat', {
      events: [],
      'playbook-executions': null,
      status: 'up',
      version: '1',
      workloads: null,
    });
  }

  /** A message of yggdrasild, as Go writes it. */
  send(directive: string, content: unknown, more: Record<string, unknown> = {}): Promise<Answer> {
    return this.post(`data/${this.deviceId}/out`, {
      ...{ type: 'data', message_id: randomUUID(), response_to: '', version: 1 },
      sent: new Date().toISOString().replace('Z', '123456+00:00'),
      ...{ directive, metadata: null, content },
      ...more,
    });
  }

  post(path: string, body: unknown): Promise<Answer> {
    const headers = { 'user-agent': 'yggdrasild/0.2', 'accept-encoding': 'gzip' };
    return this.#fixture.call('POST', `${BASE}/${path}`, { identity: this.identity, body, headers });
  }

  poll(channel: 'control' | 'data', deviceId = this.deviceId): Promise<Answer> {
    return this.#fixture.call('GET', `${BASE}/${channel}/${deviceId}/in`, { identity: this.identity });
  }
}
