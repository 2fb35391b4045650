import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type RunningServer, type StartOptions, startServer } from './child.ts';

export type NginxPlan = {
  /** The blocks of its `http` block; `directory` is its own. */
  readonly http: (port: number, directory: string) => string;
  /** Default: a free one. */
  readonly port?: number;
};

/** nginx in the foreground with a configuration of the test's own; its process id is that of the master, its log standard error. */
export function startNginx(
  binary: string,
  plan: NginxPlan,
  options: StartOptions = {},
): Promise<RunningServer> {
  return startServer(
    {
      name: 'nginx',
      binary,
      args: (port, directory) => {
        writeFileSync(join(directory, 'nginx.conf'), configuration(directory, plan.http(port, directory)));
        return ['-p', directory, '-c', 'nginx.conf', '-e', 'stderr'];
      },
      url: (port) => `https://localhost:${port}`,
      answers,
    },
    { ...options, ...(plan.port === undefined ? {} : { port: plan.port }) },
  );
}

/** What nginx needs where it is not installed as a service: everything in its own directory, and no rights that it has not. */
function configuration(directory: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${join(directory, 'nginx.pid')};
error_log stderr info;
events { worker_connections 64; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${join(directory, name)};`).join('\n  ')}
  ${http}
}
`;
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
