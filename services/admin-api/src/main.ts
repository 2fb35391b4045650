import { runService } from '@signet/service';
import { startAdminApi } from './app.ts';
import { adminApiConfig } from './config.ts';

await runService('admin-api', adminApiConfig, startAdminApi);
