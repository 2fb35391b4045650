const SAMPLE = /^([A-Za-z_:][A-Za-z0-9_:]*)(\{.*\})?( .*)$/;

/** What of a family's name is left in its samples: histograms and counters add to it. */
const SUFFIX = /_(bucket|sum|count|total)$/;

/**
 * Metrics of several processes (Prometheus text format) as one: each sample gets a `worker` label with the number of
 * its process, and the samples of a family stand together.
 */
export function mergeExpositions(texts: ReadonlyMap<number, string>): string {
  const families = new Map<string, { readonly comments: Set<string>; readonly samples: string[] }>();
  const family = (name: string) => {
    const known = families.get(name) ?? { comments: new Set(), samples: [] };
    families.set(name, known);
    return known;
  };
  for (const [worker, text] of texts) {
    let current = '';
    for (const line of text.split('\n')) {
      const comment = /^# (?:HELP|TYPE) (\S+)/.exec(line)?.[1];
      if (comment !== undefined) {
        current = comment;
        family(current).comments.add(line);
        continue;
      }
      const [, name = '', labels = '{}', rest = ''] = SAMPLE.exec(line) ?? [];
      if (name === '') continue;
      const own = name === current || name.replace(SUFFIX, '') === current ? current : name;
      const inner = labels.slice(1, -1);
      family(own).samples.push(`${name}{worker="${worker}"${inner === '' ? '' : `,${inner}`}}${rest}`);
    }
  }
  return [...families.values()]
    .flatMap(({ comments, samples }) => [...comments, ...samples])
    .map((line) => `${line}\n`)
    .join('');
}
