import { requireServer } from '@signet/tests/servers';
import { startFerretdb, startMongoJavaServer } from '@signet/tests/servers/start';
import { MongoClient } from 'mongodb';
import { describe, expect, it } from 'vitest';

const servers = [
  { name: 'mongo-java-server', start: startMongoJavaServer, isAtomic: true },
  { name: 'ferretdb', start: startFerretdb, isAtomic: false },
] as const;
/** A server which compares first and replaces later is caught at it long before that many. */
const ROUNDS = { atomic: 400, other: 10_000 };

describe.each(servers)('two replicas that replace one document over $name', ({ name, start, isAtomic }) => {
  const binary = requireServer(name);

  it.skipIf(binary === '')(
    isAtomic ? 'never both win one version' : 'may both win one version: it cannot serve two replicas',
    { timeout: 120_000 },
    async () => {
      await using server = await start(binary);
      const clients = [new MongoClient(server.url), new MongoClient(server.url)];
      const [one, two] = clients.map((client) =>
        client.db('atomic').collection<{ _id: string; version: number }>('things'),
      );
      if (one === undefined || two === undefined) throw new Error('no clients');
      await one.insertOne({ _id: 'a', version: 0 });
      let wonByBoth = 0;
      const rounds = isAtomic ? ROUNDS.atomic : ROUNDS.other;
      for (let version = 0; version < rounds && wonByBoth === 0; version++) {
        const outcomes = await Promise.all(
          [one, two].map((replica) =>
            replica.replaceOne({ _id: 'a', version }, { version: version + 1 }).then(
              ({ matchedCount }) => matchedCount,
              () => 0,
            ),
          ),
        );
        wonByBoth += outcomes.filter((matched) => matched === 1).length === 2 ? 1 : 0;
        // a round that nobody won, under an error of the server's, is made up for
        await one.updateOne({ _id: 'a' }, { $set: { version: version + 1 } });
      }
      await Promise.all(clients.map((client) => client.close()));
      if (isAtomic) expect(wonByBoth).toBe(0);
      else expect(wonByBoth).toBeGreaterThan(0);
    },
  );
});
