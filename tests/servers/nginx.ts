import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type RunningServer, type StartOptions, startServer } from './child.ts';

export type NginxPlan = {
  /** The whole of its configuration; `directory` is what its paths start from. */
  readonly configuration: (port: number, directory: string) => string;
  /** Default: one of its own, removed at the end. */
  readonly directory?: string;
};

/** nginx in the foreground; its process id is that of the master, its log standard error. */
export function startNginx(
  binary: string,
  { configuration, directory: given }: NginxPlan,
  options: StartOptions = {},
): Promise<RunningServer> {
  return startServer(
    {
      name: 'nginx',
      binary,
      args: (port, directory) => {
        // workers of a root without rights could not read what a test writes
        const user = process.getuid?.() === 0 ? 'user root;' : '';
        writeFileSync(join(directory, 'run.conf'), `daemon off;\n${user}\n${configuration(port, directory)}`);
        return ['-p', directory, '-c', 'run.conf', '-e', 'stderr'];
      },
      url: (port) => `https://localhost:${port}`,
      answers,
    },
    { ...options, ...(given === undefined ? {} : { directory: given }) },
  );
}

/** A configuration of these blocks of `http`. */
export function nginxConfiguration(directory: string, http: string): string {
  return `
pid ${join(directory, 'nginx.pid')};
error_log stderr info;
events {}
http {
  access_log off;
  ${temporaryPaths(directory)}
  ${http}
}
`;
}

/** Where it puts what is under way, for an nginx that is not installed as a service. */
export function temporaryPaths(directory: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return kinds.map((kind) => `${kind}_temp_path ${join(directory, kind)};`).join('\n  ');
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
