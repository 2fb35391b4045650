import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import {
  announcePlatform,
  ConfigError,
  createLogger,
  LineWriter,
  openRuntime,
  parseConfig,
  runProcess,
  startFailureLine,
  takeProcessLock,
} from '@signet/service';
import { type StandaloneConfig, standaloneConfig, startPlatform } from './app.ts';
import { greeting } from './greeting.ts';
import { withPortBase } from './port-base.ts';
import { withStoreInDataFolder } from './store-default.ts';
import { openTerminalLog } from './terminal-log.ts';

function configOrExit(): StandaloneConfig {
  try {
    return parseConfig(
      standaloneConfig,
      withStoreInDataFolder(withPortBase(process.env, process.argv.slice(2))),
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`signet: the configuration is wrong\n${error.message.replace(/^/gm, '  ')}\n`);
    process.exit(2);
  }
}

/** Before anything is written to the folder. */
function lockOrExit({ SIGNET_DATA_DIR: folder }: StandaloneConfig): Disposable {
  try {
    return takeProcessLock({
      file: join(folder, 'signet.lock'),
      variable: 'SIGNET_DATA_DIR',
      what: resolve(folder),
    });
  } catch (error) {
    const line = startFailureLine(error, config);
    if (line === undefined) throw error;
    process.stderr.write(`signet: ${line}\n`);
    process.exit(1);
  }
}

const config = configOrExit();
const lock = lockOrExit(config);
/** Who names a level gets all lines on standard output, as from any other service. */
const kept = process.env.SIGNET_LOG_LEVEL ? undefined : openTerminalLog(config.SIGNET_DATA_DIR);
const lines = kept?.lines ?? new LineWriter(1);
const log = createLogger({
  service: 'signet',
  level: config.SIGNET_LOG_LEVEL,
  destination: kept?.destination ?? lines,
});

const stopMs = config.SIGNET_STOP_SECONDS * 1000;
await runProcess({ name: 'signet', config, log, stopMs, host: process }, async (stack, signal) => {
  stack.use(lock);
  const runtime = stack.use(await openRuntime('signet', config, { log, lines }));
  const platform = stack.use(await startPlatform(config, runtime.deps));
  signal.throwIfAborted();
  const { SIGNET_DATA_DIR: folder } = config;
  const notice = stack.use(announcePlatform(folder, platform.addresses()));
  stack.use(platform.onTrustChange(() => notice.write(platform.addresses())));
  runtime.started();
  const { file, isNew } = platform.admin.firstToken;
  // what is not a terminal is kept somewhere: a journal, a container's log, a file
  const isShown = isNew && file !== undefined && process.stdout.isTTY;
  const token = isShown ? (await readFile(file, 'utf8')).trim() : undefined;
  const { healthPort } = runtime;
  log.info({ ports: platform.ports, healthPort }, 'signet is ready');
  console.log(greeting({ config, platform, healthPort, token, logFile: kept?.file }));
});
