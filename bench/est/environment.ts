import { join } from 'node:path';

/** Environment of the platform's services in embedded mode, on ports that the system chooses. */
export function embedded(dataDir: string): Record<string, string> {
  return {
    SIGNET_DATA_DIR: dataDir,
    SIGNET_STORE: `sqlite:${join(dataDir, 'signet.db')}`,
    SIGNET_BUS: 'local',
    SIGNET_BIND: '127.0.0.1',
    SIGNET_EST_PORT: '0',
    SIGNET_EST_HTTP_PORT: '0',
    SIGNET_HEALTH_PORT: '0',
    SIGNET_HEALTH_BIND: '127.0.0.1',
    SIGNET_EST_GRANT_MINUTES: '120',
  };
}
