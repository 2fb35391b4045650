import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type RunningServer, startServer } from '@signet/tests/servers/start';
import type { Pki } from './broker-node.ts';

/** mosquitto with the same certificates, and topics by certificate as ours; nothing is kept on disk. */
export function startMosquitto(binary: string, pki: Pki): Promise<RunningServer> {
  const configuration = (port: number, directory: string) => {
    const file = (name: string, content: string) => {
      const path = join(directory, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    };
    const lines = [
      `listener ${port} 127.0.0.1`,
      `cafile ${file('ca.pem', pki.issuers + pki.anchors)}`,
      `certfile ${file('server.pem', pki.server.cert)}`,
      `keyfile ${file('server.key', pki.server.key)}`,
      'require_certificate true',
      'use_identity_as_username true',
      'allow_anonymous false',
      `acl_file ${file('acl', 'pattern write d/bench/%u/up/#\npattern read d/bench/%u/down/#\n')}`,
      'persistence false',
      'max_inflight_messages 0',
      'user root',
      'log_type error',
    ];
    return file('mosquitto.conf', `${lines.join('\n')}\n`);
  };
  return startServer({
    name: 'mosquitto',
    binary,
    args: (port, directory) => ['-c', configuration(port, directory)],
    url: (port) => `mqtts://127.0.0.1:${port}`,
    answers: isListening,
  });
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
