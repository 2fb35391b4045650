import { expect, test } from 'vitest';
import { read, sourcesBelow } from './source-files.ts';

test('benches bring the servers that they need, as the tests do, and look for none on the path', () => {
  for (const file of sourcesBelow('bench')) {
    expect(read(file), file).not.toMatch(/\bonPath\(|\bbringBinary\(|start(Redis|Nats|Ferretdb)\(['"`]/);
  }
});
