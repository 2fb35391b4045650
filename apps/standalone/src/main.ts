import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { ConfigError, createLogger, openRuntime, parseConfig, runProcess } from '@signet/service';
import { type StandaloneConfig, standaloneConfig, startPlatform } from './app.ts';
import { greeting } from './greeting.ts';
import { openTerminalLog } from './terminal-log.ts';

function configOrExit(): StandaloneConfig {
  try {
    return parseConfig(standaloneConfig, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`signet: the configuration is wrong\n${error.message.replace(/^/gm, '  ')}\n`);
    process.exit(2);
  }
}

const config = configOrExit();
/** Who names a level gets all lines on standard output, as from any other service. */
const kept = process.env.SIGNET_LOG_LEVEL ? undefined : openTerminalLog(config.SIGNET_DATA_DIR);
const log = createLogger({
  service: 'signet',
  level: config.SIGNET_LOG_LEVEL,
  ...(kept === undefined ? {} : { destination: kept.destination }),
});

await runProcess({ log, stopMs: config.SIGNET_STOP_SECONDS * 1000, host: process }, async (stack, signal) => {
  const runtime = stack.use(await openRuntime('signet', config, { log }));
  const platform = stack.use(await startPlatform(config, runtime.deps));
  signal.throwIfAborted();
  runtime.started();
  const { file, isNew } = platform.admin.firstToken;
  const token = isNew && file !== undefined ? (await readFile(file, 'utf8')).trim() : undefined;
  const { healthPort } = runtime;
  log.info({ ports: platform.ports, healthPort }, 'signet is ready');
  console.log(greeting({ config, platform, healthPort, token, logFile: kept?.file }));
});
