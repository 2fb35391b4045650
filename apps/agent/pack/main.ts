import { join } from 'node:path';
import { packAgent } from './pack-agent.ts';

console.log(await packAgent(process.argv[2] ?? join(import.meta.dirname, '..', 'dist')));
