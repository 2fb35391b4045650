import { runService } from '@signet/service';
import { adminApiConfig, startAdminApi } from './app.ts';

await runService('admin-api', adminApiConfig, startAdminApi);
