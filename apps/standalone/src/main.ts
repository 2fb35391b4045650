import { readFile } from 'node:fs/promises';
import nodeProcess from 'node:process';
import { runService } from '@signet/service';
import { standaloneConfig, startPlatform } from './app.ts';
import { greeting } from './greeting.ts';

const env = { SIGNET_LOG_LEVEL: 'warn', ...nodeProcess.env };
const host = {
  env,
  exit: (code: number) => nodeProcess.exit(code),
  on: (event: string, listener: (argument: unknown) => void) => nodeProcess.on(event, listener),
  off: (event: string, listener: (argument: unknown) => void) => nodeProcess.off(event, listener),
  stderr: nodeProcess.stderr,
};

await runService(
  'signet',
  standaloneConfig,
  async (config, deps) => {
    const platform = await startPlatform(config, deps);
    const { file, isNew } = platform.admin.firstToken;
    const token = isNew && file !== undefined ? (await readFile(file, 'utf8')).trim() : undefined;
    console.log(greeting(config, platform, config.SIGNET_HEALTH_PORT, token));
    return platform;
  },
  host,
);
