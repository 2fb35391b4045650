#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Compiling its modules is more than half of the time that a command takes.
enableCompileCache();
await import('./run.ts');
