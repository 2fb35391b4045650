import { workerData } from 'node:worker_threads';
import { serveGroups, Writer, type WriterSetup } from './writer.ts';

serveGroups(new Writer(workerData as WriterSetup));
